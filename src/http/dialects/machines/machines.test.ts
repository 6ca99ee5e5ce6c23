/**
 * Tests that need more than a request and its answer (those are in `golden/`): waiting, streaming, sizes,
 * connections.
 */

import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
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

describe('a body', () => {
  test('over the limit: 413', async () => {
    const { status, body } = await call('POST', '/machines', {
      ...valid,
      name: 'x'.repeat(13 * 1024 * 1024),
    });
    expect(status).toBe(413);
    expect(body).toMatchObject(failure('VALIDATION_ERROR', 'Request body is larger than 262144 bytes'));
  });

  test.each([
    ['arguments', { command: Array(4097).fill('x') }, 'command must have at most 4096 items'],
    ['an argument', { command: ['x'.repeat(131_072)] }, 'command.0 must have at most 131071 characters'],
    [
      'input',
      { command: ['cat'], stdin: 'AAAA'.repeat(2_796_204) },
      'stdin must have at most 11184812 characters',
    ],
  ])('with more %s than a command may have: 400', async (_, body, message) => {
    expect(await call('POST', `/machines/${await create()}/exec`, body)).toMatchObject({
      status: 400,
      body: failure('VALIDATION_ERROR', message),
    });
  });
});

describe('a client that disconnects during a start', () => {
  async function startAndLeave(query: string): Promise<string> {
    const id = await create();
    const { promise, resolve } = Promise.withResolvers<void>();
    fake.guest.onReady = () => promise;
    const client = new AbortController();
    const request = fetch(`${url}/machines/${id}/start${query}`, {
      ...{ method: 'POST', headers: { Authorization: `Bearer ${testKey}` }, signal: client.signal },
    });
    const left = expect(request).rejects.toThrow();
    expect((await call('GET', `/machines/${id}/wait?status=starting`)).status).toBe(200);
    client.abort();
    await left;
    const wanted = query === '' ? 'running' : 'stopped';
    if (query === '') resolve();
    expect((await call('GET', `/machines/${id}/wait?status=${wanted}`)).status).toBe(200);
    resolve();
    return id;
  }

  test('leaves it to its end', async () => {
    await startAndLeave('');
  });

  test('ends it, if it said so', async () => {
    const id = await startAndLeave('?cancel_on_disconnect=true');
    const { body } = await call('GET', `/api/v1/operations?machine=${id}&limit=1`);
    expect(body).toMatchObject({ operations: [{ kind: 'machine.start', state: 'cancelled' }] });
  });
});

describe('wait', () => {
  test('is notified of the change instead of polling', async () => {
    const id = await create();
    const waiting = call('GET', `/machines/${id}/wait?status=running`);
    expect((await call('POST', `/machines/${id}/start`)).status).toBe(200);
    expect(await waiting).toMatchObject({ status: 200, body: { id, status: 'running' } });
  });

  test('ends with 400 as soon as the machine fails', async () => {
    const id = await create();
    const waiting = call('GET', `/machines/${id}/wait?status=stopped`);
    fake.driver.failNext('launch', new Error('broken'));
    await call('POST', `/machines/${id}/start`);
    expect(await waiting).toMatchObject({
      status: 400,
      body: failure('BAD_REQUEST', /has failed: .*broken/),
    });
  });

  test('ends with 404 as soon as the machine is gone', async () => {
    const id = await create();
    const waiting = call('GET', `/machines/${id}/wait?status=running`);
    expect((await call('DELETE', `/machines/${id}`)).status).toBe(204);
    expect(await waiting).toMatchObject({
      status: 404,
      body: failure('NOT_FOUND', `Machine with id '${id}' not found`),
    });
  });
});

describe('pause and resume', () => {
  const post = (id: string, action: string) => call('POST', `/machines/${id}/${action}`);

  test('200 with the new status; 400 if the machine is in that status already or does not run', async () => {
    const id = await create();
    const refused = (action: string, status: string) => ({
      status: 400,
      body: failure('BAD_REQUEST', `Cannot ${action} machine in '${status}' state`),
    });
    expect(await post(id, 'pause')).toMatchObject(refused('pause', 'pending'));
    expect(await post(id, 'resume')).toMatchObject(refused('resume', 'pending'));
    await post(id, 'start');
    expect(await post(id, 'resume')).toMatchObject(refused('resume', 'running'));
    const waiting = call('GET', `/machines/${id}/wait?status=paused`);
    expect(await post(id, 'pause')).toMatchObject({
      status: 200,
      body: { id, status: 'paused', failure: null },
    });
    expect(await waiting).toMatchObject({ status: 200, body: { status: 'paused' } });
    expect((await call('GET', '/machines?status=paused')).body).toMatchObject({ total: 1 });
    expect(await post(id, 'pause')).toMatchObject(refused('pause', 'paused'));
    expect(await post(id, 'start')).toMatchObject(refused('start', 'paused'));
    expect(await post(id, 'restart')).toMatchObject(refused('restart', 'paused'));
    expect(await call('DELETE', `/machines/${id}`)).toMatchObject(refused('delete', 'paused'));
    expect(await call('POST', `/machines/${id}/exec`, { command: ['true'] })).toMatchObject({
      status: 400,
      body: failure('BAD_REQUEST', 'Machine must be running to execute commands'),
    });
    expect(await post(id, 'resume')).toMatchObject({ status: 200, body: { id, status: 'running' } });
    expect(await call('POST', `/machines/${id}/exec`, { command: ['true'] })).toMatchObject({ status: 200 });
    fake.guest.onShutdown = ({ incarnation }) => fake.driver.machine(incarnation).powerOff();
    await post(id, 'stop');
    expect(await post(id, 'pause')).toMatchObject(refused('pause', 'stopped'));
  });

  test('400 if the engine cannot pause', async () => {
    await server.close(0);
    await fake.close();
    fake = await startFake({ without: ['pause'] });
    ({ server, url } = await serveFake(fake));
    const id = await create();
    await post(id, 'start');
    expect(await post(id, 'pause')).toMatchObject({
      status: 400,
      body: failure('BAD_REQUEST', "Engine 'qemu' cannot pause machines"),
    });
  });

  test('404 for a missing machine', async () => {
    for (const action of ['pause', 'resume'])
      expect(await post('nobody', action)).toMatchObject({
        status: 404,
        body: failure('NOT_FOUND', /nobody/),
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
      { type: 'started', id: expect.any(String), machine_id: id, pid: expect.any(Number) },
      { type: 'stdout', offset: 0, data: 'b25l', cursor: 3 },
      { type: 'stderr', offset: 0, data: 'ZXJy', cursor: 6 },
      { type: 'stdout', offset: 3, data: 'dHdv', cursor: 9 },
      { type: 'outcome', outcome: 'exited', exit_code: 7, signal: null, reason: null },
    ]);
  });

  test('output beyond the limit of a buffered answer is cut and marked as truncated', async () => {
    const id = await running();
    fake.guest.events = [
      { type: 'stdout', data: new Uint8Array(6 * 1024 * 1024).fill(97) },
      { type: 'stdout', data: new Uint8Array(6 * 1024 * 1024).fill(98) },
      { type: 'outcome', outcome: { outcome: 'exited', exitCode: 0 } },
    ];
    const { body } = await call('POST', `/machines/${id}/exec`, { command: ['x'] });
    expect(body).toMatchObject({ exit_code: 0, stdout_truncated: true, stderr_truncated: false });
    expect((body as { stdout: string }).stdout.length).toBe(8 * 1024 * 1024);
  });
});

test('showing a machine reads no disk and sets no timer', async () => {
  const id = await create();
  const bootKit = vi.spyOn(fake.images, 'bootKit');
  const timeout = vi.spyOn(AbortSignal, 'timeout');
  expect((await call('GET', `/machines/${id}`)).body).toMatchObject({ kernel_image_path: '/fake/kernel' });
  expect([bootKit.mock.calls.length, timeout.mock.calls.length]).toEqual([0, 0]);
  vi.restoreAllMocks();
});

test('limits that the host cannot enforce are shown with each machine', async () => {
  const id = await create();
  expect((await call('GET', `/machines/${id}`)).body).toMatchObject({ warnings: [] });
  fake.driver.warnings = ['no memory limit for machines: EROFS'];
  expect((await call('GET', `/machines/${id}`)).body).toMatchObject({ warnings: fake.driver.warnings });
});

test('a client that never sends its headers is cut off; others are served meanwhile', async () => {
  const socket = connect(server.port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write('GET /machines HTTP/1.1\r\nHost: x\r\n');
  expect((await call('GET', '/machines')).status).toBe(200);
  socket.destroy();
});

describe('a lifetime', () => {
  const show = async () => (await call('GET', '/machines/web')).body;

  test('that stands still, or has ended without deleting the machine, says so', async () => {
    const lifetime = { lifetime_seconds: 600, on_expire: 'suspend' };
    const spec = { name: 'web', vcpu_count: 1, mem_size_mib: 256, ...lifetime };
    expect(await call('POST', '/machines', spec)).toMatchObject({
      status: 201,
      body: { ...lifetime, lifetime_counts: 'unless_paused', expires_at: expect.any(String) },
    });
    await call('POST', '/machines/web/start');
    await call('POST', '/machines/web/pause');
    expect(await show()).toMatchObject({ expires_at: null, lifetime_remaining_seconds: 600 });
    const { id, incarnation } = await fake.machines.get('default', 'web');
    const at = '2020-01-01T00:00:00.000Z';
    await fake.store.machines.patch(id, incarnation, { expiresAt: at, remainingMs: null }, at);
    await fake.keeper.look();
    await fake.keeper.settled();
    expect(await show()).toMatchObject({
      ...{ ...lifetime, status: 'suspended', expires_at: null, lifetime_remaining_seconds: null },
    });
    await call('POST', '/machines/web/start');
    expect(await show()).toMatchObject({ status: 'running', expires_at: expect.any(String) });
  });

  test.each([
    [{ on_expire: 'explode' }, /on_expire/],
    [{ lifetime_counts: 'sometimes' }, /lifetime_counts/],
  ])('%o is refused', async (fields, message) => {
    const spec = { name: 'web', vcpu_count: 1, mem_size_mib: 256, ...fields };
    for (const [method, path, body] of [
      ['POST', '/machines', spec],
      ['PATCH', '/machines/web', fields],
    ] as const) {
      expect(await call(method, path, body)).toMatchObject({
        status: 400,
        body: { error: { message: expect.stringMatching(message) } },
      });
    }
  });
});
