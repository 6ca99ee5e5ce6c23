/** Every row of the dialect's tables on a real server: status and body. */

import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../../../../test/support/fake.ts';
import type { HttpServer } from '../../server.ts';

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;

beforeEach(async () => {
  fake = await startFake();
  ({ server, url } = await serveFake(fake));
});
afterEach(async () => {
  await server.close(0);
  await fake.close();
});

interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers: Headers;
}

async function call(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: {
      Authorization: `Bearer ${testKey}`,
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text && JSON.parse(text), headers: response.headers };
}

const valid = { name: 'web', vcpu_count: 1, mem_size_mib: 128 };
const create = async (fields: object = {}) =>
  ((await call('POST', '/machines', { ...valid, ...fields })).body as { id: string }).id;
const failure = (code: string, message: string | RegExp) => ({
  error: { code, message: typeof message === 'string' ? message : expect.stringMatching(message) },
});

describe('authentication', () => {
  test('health needs no key', async () => {
    const response = await fetch(`${url}/health`);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ status: 'ok', version: 'test' });
  });

  test.each([
    [{ Authorization: '' }, 'Authorization header is required'],
    [{ Authorization: 'Basic abc' }, 'Authorization header must be of the form: Bearer <key>'],
    [{ Authorization: `Bearer hf_${'x'.repeat(32)}` }, 'Invalid API key'],
  ])('%j: 401', async (headers, message) => {
    const given = headers.Authorization === '' ? {} : headers;
    const response = await fetch(`${url}/machines`, { headers: given });
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject(failure('UNAUTHORIZED', message));
  });

  test('an unknown route is told to nobody without a key', async () => {
    expect((await fetch(`${url}/nowhere`)).status).toBe(401);
  });
});

describe('what cannot be read or does not exist', () => {
  test('malformed JSON: 400 BAD_REQUEST', async () => {
    expect(await call('POST', '/machines', '{"name":')).toMatchObject({
      status: 400,
      body: failure('BAD_REQUEST', /JSON/),
    });
  });

  test('another content type: 400 BAD_REQUEST', async () => {
    expect(await call('POST', '/machines', 'name=web', { 'Content-Type': 'text/plain' })).toMatchObject({
      status: 400,
      body: failure('BAD_REQUEST', 'Content-Type must be application/json'),
    });
  });

  test('no body: 400', async () => {
    expect(await call('POST', '/machines')).toMatchObject({ status: 400 });
  });

  test('a body over the limit: 413', async () => {
    const { status, body } = await call('POST', '/machines', {
      ...valid,
      name: 'x'.repeat(13 * 1024 * 1024),
    });
    expect(status).toBe(413);
    expect(body).toMatchObject(failure('VALIDATION_ERROR', /larger than/));
  });

  test.each([
    ['GET', '/nowhere'],
    ['PUT', '/machines'],
    ['PATCH', '/machines/abc'],
    ['GET', '/machines/abc/start'],
  ])('%s %s: 404', async (method, path) => {
    expect(await call(method, path)).toMatchObject({
      status: 404,
      body: failure('NOT_FOUND', `Route ${method} ${path} not found`),
    });
  });

  test.each(['', '/start', '/stop', '/restart', '/wait?status=running'])(
    'an unknown machine%s: 404',
    async (suffix) => {
      const method = suffix === '' || suffix.startsWith('/wait') ? 'GET' : 'POST';
      expect(await call(method, `/machines/nosuchid${suffix}`)).toMatchObject({
        status: 404,
        body: failure('NOT_FOUND', "Machine with id 'nosuchid' not found"),
      });
    },
  );

  test('request ids are accepted and echoed; others are made', async () => {
    const { headers, body } = await call('GET', '/machines/nosuchid', undefined, {
      'X-Correlation-ID': 'trace-1',
    });
    expect(headers.get('x-request-id')).toBe('trace-1');
    expect(headers.get('x-correlation-id')).toBe('trace-1');
    expect(body).toMatchObject({ error: { request_id: 'trace-1' } });
    expect((await call('GET', '/machines')).headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe('create', () => {
  test.each([
    [{ vcpu_count: 0 }, 'vcpu_count must be at least 1'],
    [{ vcpu_count: 1.5 }, 'vcpu_count must be an integer'],
    [{ vcpu_count: '1' }, 'vcpu_count must be a number'],
    [{ mem_size_mib: undefined }, 'mem_size_mib is required'],
    [{ mem_size_mib: 3 }, 'mem_size_mib must be at least 4'],
    [{ name: undefined }, 'name is required'],
    [{ name: '' }, 'name must not be empty'],
    [{ name: 'a\nb' }, 'name must not contain control characters'],
    [{ exposed_ports: [0] }, 'exposed_ports.0 must be at least 1'],
    [{ exposed_ports: [65536] }, 'exposed_ports.0 must be at most 65535'],
    [{ exposed_ports: 80 }, 'exposed_ports must be an array'],
    [{ boot: 'warm' }, 'boot must be one of: auto, cold'],
    [{ disk_size_mib: 1 }, /needs a disk of at least/],
    [{ vcpu_count: 10_000 }, /at most \d+ vCPUs/],
  ])('%j: 400 VALIDATION_ERROR', async (fields, message) => {
    expect(await call('POST', '/machines', { ...valid, ...fields })).toMatchObject({
      status: 400,
      body: failure('VALIDATION_ERROR', message),
    });
    expect(fake.disks.made.size).toBe(0);
  });

  test('an engine this host lacks: 400, nothing made', async () => {
    expect(await call('POST', '/machines', { ...valid, engine: 'bhyve' })).toMatchObject({
      status: 400,
      body: failure('VALIDATION_ERROR', "this host has no engine 'bhyve'"),
    });
  });

  test('an unknown image: 404, nothing made', async () => {
    expect((await call('POST', '/machines', { ...valid, image: 'nope' })).status).toBe(404);
    expect((await call('GET', '/machines')).body).toEqual({ machines: [], total: 0 });
  });

  test('a taken name: 409 CONFLICT', async () => {
    await create();
    expect(await call('POST', '/machines', valid)).toMatchObject({
      status: 409,
      body: failure('CONFLICT', "Machine with name 'web' already exists"),
    });
  });

  test('ports are kept once each; memory of 4 MiB is accepted, and start says what is needed', async () => {
    const answer = await call('POST', '/machines', {
      ...valid,
      mem_size_mib: 4,
      exposed_ports: [80, 80, 81],
    });
    expect(answer).toMatchObject({ status: 201, body: { exposed_ports: [80, 81], mem_size_mib: 4 } });
    expect(await call('POST', '/machines/web/start')).toMatchObject({
      status: 400,
      body: failure('BAD_REQUEST', /cannot boot in 4 MiB/),
    });
  });
});

describe('list', () => {
  test('pages newest first and counts all that match', async () => {
    for (const name of ['a', 'b', 'c']) await create({ name });
    const { body } = await call('GET', '/machines?limit=2&offset=1');
    expect(body).toMatchObject({ total: 3, machines: [{ name: 'b' }, { name: 'a' }] });
  });

  test.each([
    ['limit=0', 'limit must be at least 1'],
    ['limit=1001', 'limit must be at most 1000'],
    ['limit=many', 'limit must be a number'],
    ['offset=-1', 'offset must be at least 0'],
    ['status=asleep', 'status must be one of: pending, starting, running, paused, stopping, stopped, failed'],
  ])('%s: 400 VALIDATION_ERROR', async (query, message) => {
    expect(await call('GET', `/machines?${query}`)).toMatchObject({
      status: 400,
      body: failure('VALIDATION_ERROR', message),
    });
  });
});

describe('states', () => {
  test('what a state forbids: 400 in the dialect’s words', async () => {
    const id = await create();
    for (const action of ['stop', 'restart']) {
      expect(await call('POST', `/machines/${id}/${action}`)).toMatchObject({
        status: 400,
        body: failure('BAD_REQUEST', `Cannot ${action} machine in 'pending' state`),
      });
    }
    expect((await call('POST', `/machines/${id}/start`)).status).toBe(200);
    expect(await call('POST', `/machines/${id}/start`)).toMatchObject({
      status: 400,
      body: failure('BAD_REQUEST', "Cannot start machine in 'running' state"),
    });
    expect((await call('DELETE', `/machines/${id}`)).status).toBe(400);
    expect((await call('DELETE', `/machines/${id}?force=true`)).status).toBe(204);
  });

  test('a VMM that does not launch: 500 RUNTIME_ERROR, and the machine says why', async () => {
    const id = await create();
    fake.driver.failNext('launch', new Error('no such binary'));
    expect(await call('POST', `/machines/${id}/start`)).toMatchObject({ status: 500 });
    expect((await call('GET', `/machines/${id}`)).body).toMatchObject({
      status: 'failed',
      error_message: expect.stringContaining('no such binary'),
      pid: null,
    });
    expect((await call('POST', `/machines/${id}/start`)).body).toMatchObject({
      status: 'running',
      failure: null,
    });
  });

  test('wait is told of the change; it does not poll', async () => {
    const id = await create();
    const waiting = call('GET', `/machines/${id}/wait?status=running`);
    expect((await call('POST', `/machines/${id}/start`)).status).toBe(200);
    expect(await waiting).toMatchObject({ status: 200, body: { id, status: 'running' } });
  });

  test('wait: 504 in the seed’s words; 400 at once when the machine fails; 400 for a bad timeout', async () => {
    const id = await create();
    expect(await call('GET', `/machines/${id}/wait?status=running&timeout=1`)).toMatchObject({
      status: 504,
      body: failure('TIMEOUT', `Timed out waiting for machine ${id} to reach status running`),
    });
    expect(await call('GET', `/machines/${id}/wait?status=running&timeout=31`)).toMatchObject({
      status: 400,
      body: failure('VALIDATION_ERROR', 'timeout must be at most 30'),
    });
    const waiting = call('GET', `/machines/${id}/wait?status=stopped`);
    fake.driver.failNext('launch', new Error('broken'));
    await call('POST', `/machines/${id}/start`);
    expect(await waiting).toMatchObject({
      status: 400,
      body: failure('BAD_REQUEST', /has failed: .*broken/),
    });
  });
});

describe('exec', () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const running = async () => {
    const id = await create();
    await call('POST', `/machines/${id}/start`);
    return id;
  };

  test.each([
    [{}, 'command must be given'],
    [{ command: [] }, 'command must not be empty'],
    [{ command: 'ls' }, 'command must be an array'],
    [{ command: ['a\0b'] }, 'command.0 must not contain NUL'],
    [{ command: ['ls'], timeout: 0 }, 'timeout must be at least 1'],
  ])('%j: 400 VALIDATION_ERROR', async (body, message) => {
    expect(await call('POST', `/machines/${await running()}/exec`, body)).toMatchObject({
      status: 400,
      body: failure('VALIDATION_ERROR', message),
    });
  });

  test('`cmd` is taken where there is no `command`', async () => {
    expect(await call('POST', `/machines/${await running()}/exec`, { cmd: ['true'] })).toMatchObject({
      status: 200,
      body: { exit_code: 0, stdout: '', stderr: '', outcome: 'exited', signal: null },
    });
  });

  test('a signal is 128 more than its number; an unknown end is 502, never a code', async () => {
    const id = await running();
    fake.guest.events = [{ type: 'outcome', outcome: { outcome: 'signalled', signal: 'KILL' } }];
    expect((await call('POST', `/machines/${id}/exec`, { command: ['x'] })).body).toMatchObject({
      exit_code: 137,
      outcome: 'signalled',
      signal: 'KILL',
    });
    fake.guest.events = [{ type: 'outcome', outcome: { outcome: 'unknown', reason: 'link lost' } }];
    expect(await call('POST', `/machines/${id}/exec`, { command: ['x'] })).toMatchObject({
      status: 502,
      body: failure('VSOCK_ERROR', 'Failed to communicate with VM'),
    });
  });

  test('as NDJSON: output with offsets, then the outcome', async () => {
    const id = await running();
    fake.guest.events = [
      { type: 'stdout', data: bytes('one') },
      { type: 'stderr', data: bytes('err') },
      { type: 'stdout', data: bytes('two') },
      { type: 'outcome', outcome: { outcome: 'exited', exitCode: 7 } },
    ];
    const response = await fetch(`${url}/machines/${id}/exec`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${testKey}`,
        'Content-Type': 'application/json',
        Accept: 'application/x-ndjson',
      },
      body: JSON.stringify({ command: ['x'] }),
    });
    expect(response.headers.get('content-type')).toBe('application/x-ndjson');
    const lines = (await response.text())
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
    expect(lines).toEqual([
      { type: 'stdout', offset: 0, data: 'b25l' },
      { type: 'stderr', offset: 0, data: 'ZXJy' },
      { type: 'stdout', offset: 3, data: 'dHdv' },
      { type: 'outcome', outcome: 'exited', exit_code: 7, signal: null, reason: null },
    ]);
  });

  test('output beyond what a buffered answer holds is cut, and said to be', async () => {
    const id = await running();
    fake.guest.events = [
      { type: 'stdout', data: new Uint8Array(6 * 1024 * 1024).fill(97) },
      { type: 'stdout', data: new Uint8Array(6 * 1024 * 1024).fill(98) },
      { type: 'outcome', outcome: { outcome: 'exited', exitCode: 0 } },
    ];
    const { body } = await call('POST', `/machines/${id}/exec`, { command: ['x'] });
    expect(body).toMatchObject({ exit_code: 0, stdout_truncated: true, stderr_truncated: false });
    expect((body as { stdout: string }).stdout.length).toBe(10 * 1024 * 1024);
  });
});

test('a client that never sends its headers is cut off; others are served meanwhile', async () => {
  const socket = connect(server.port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write('GET /machines HTTP/1.1\r\nHost: x\r\n');
  expect((await call('GET', '/machines')).status).toBe(200);
  socket.destroy();
});
