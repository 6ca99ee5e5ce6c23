/**
 * Input that is not a request, or never becomes one, is answered in the dialect's format; on a real server.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../../test/support/fake.ts';
import { openVerifier } from '../main/admin-key.ts';
import type { HttpServer } from './server.ts';

let fake: FakeFlotilla;
let server: HttpServer | null = null;
beforeAll(async () => {
  fake = await startFake();
});
afterAll(() => fake.close());
afterEach(async () => {
  await server?.close(0);
  server = null;
});

async function serve(options: Parameters<typeof serveFake>[1] = {}): Promise<string> {
  const served = await serveFake(fake, options);
  server = served.server;
  return served.url;
}

/** How many connections the server has. */
async function connectionsOf(of: HttpServer | null): Promise<number> {
  return (await of?.connections()) ?? 0;
}

/** Sends the text and returns everything up to the end of the connection. */
async function exchange(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk.toString();
  });
  socket.write(text);
  await once(socket, 'close');
  return answer;
}

function parse(answer: string) {
  const [head = '', body = ''] = answer.split('\r\n\r\n');
  const name = /x-request-id: (\S+)/i.exec(head)?.[1];
  return { status: Number(head.split(' ')[1]), name, body: body && JSON.parse(body) };
}

const auth = `Host: x\r\nAuthorization: Bearer ${testKey}\r\n`;

describe('a request that cannot be read', () => {
  test.each([
    ['is no HTTP', 'HELLO\r\n\r\n', 400, 'BAD_REQUEST'],
    ['has a header that is none', `GET /machines HTTP/1.1\r\n${auth}no colon\r\n\r\n`, 400, 'BAD_REQUEST'],
    [
      'has two lengths',
      `POST /machines HTTP/1.1\r\n${auth}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`,
      400,
      'BAD_REQUEST',
    ],
    [
      'has no end of headers',
      `GET /machines HTTP/1.1\r\n${auth}X: ${'y'.repeat(20_000)}\r\n\r\n`,
      431,
      'BAD_REQUEST',
    ],
  ])('because it %s: %i', async (_, text, status, code) => {
    const answer = parse(await exchange(await serve(), text));
    expect(answer.status).toBe(status);
    expect(answer.body).toEqual({
      error: {
        ...{ code, message: expect.any(String), hint: expect.any(String) },
        ...{ request_id: answer.name, retryable: false },
      },
    });
    expect(answer.name).toMatch(/^[\w-]{36}$/);
  });

  test('because its headers do not arrive: 408', async () => {
    const url = await serve({ headersTimeoutMs: 300 });
    const answer = parse(await exchange(url, 'GET /machines HTTP/1.1\r\nHost: x\r\nX-Slow'));
    expect(answer).toMatchObject({ status: 408, body: { error: { code: 'TIMEOUT', retryable: true } } });
  });

  test('because its Host is not part of a valid URL: 400', async () => {
    const url = await serve();
    const text = 'GET /machines HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n';
    const answer = parse(await exchange(url, text));
    expect(answer).toMatchObject({ status: 400, body: { error: { code: 'BAD_REQUEST' } } });
  });

  test('after an answered one: both answers are complete', async () => {
    const url = await serve();
    const answer = await exchange(url, `GET /health HTTP/1.1\r\nHost: x\r\n\r\nHELLO\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1.1 200 OK\r\n/);
    expect(answer).toMatch(/HTTP\/1.1 400 Bad Request\r\n.*"BAD_REQUEST"/s);
  });
});

describe('requests of one connection', () => {
  const wait = `GET /machines/slow/wait?status=running HTTP/1.1\r\n${auth}\r\n`;

  test('a broken one does not get the answer of the one before it', async () => {
    const url = await serve();
    await fake.machines.create('default', { name: 'pending', vcpuCount: 1, memoryMib: 128 });
    const slow = `GET /machines/pending/wait?status=running&timeout=1 HTTP/1.1\r\n${auth}\r\n`;
    const answer = await exchange(url, `${slow}HELLO\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1.1 504 .*HTTP\/1.1 400 Bad Request/s);
    expect(answer.match(/HTTP\/1.1 /g)).toHaveLength(2);
  });

  test('are answered in order, one after another', async () => {
    const url = await serve();
    const ask = (path: string) => `GET ${path} HTTP/1.1\r\n${auth}\r\n`;
    const last = `GET /health HTTP/1.1\r\n${auth}Connection: close\r\n\r\n`;
    const answer = await exchange(
      url,
      `${ask('/machines/none')}${ask('/machines')}${ask('/nowhere')}${last}`,
    );
    expect([...answer.matchAll(/HTTP\/1.1 (\d+)/g)].map(([, status]) => status)).toEqual([
      ...['404', '200', '404', '200'],
    ]);
  });

  test('beyond the limit: the connection is closed', async () => {
    const url = await serve();
    const answer = await exchange(url, wait.replace('slow', 'none').repeat(500));
    expect(answer.match(/HTTP\/1.1 404/g)?.length ?? 0).toBeLessThan(100);
  });
});

test('a socket that we have ended and the client has not is closed a second later', async () => {
  const url = await serve();
  const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', allowHalfOpen: true });
  socket.write('HELLO\r\n\r\n');
  await once(socket.resume(), 'end');
  await vi.waitUntil(async () => (await connectionsOf(server)) === 0, { timeout: 10_000 });
  expect(socket.destroyed).toBe(false);
  socket.destroy();
});

test('a client that does not read its answer is disconnected', async () => {
  const url = await serve({ stalledMs: 300 });
  const socket = connect(Number(new URL(url).port), '127.0.0.1').pause();
  const ended = Promise.race([once(socket, 'close'), once(socket, 'error')]);
  socket.write(`GET /docs/assets/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(40));
  await vi.waitUntil(async () => (await connectionsOf(server)) === 1);
  await vi.waitUntil(async () => (await connectionsOf(server)) === 0, { timeout: 20_000 });
  socket.resume();
  await ended;
});

test('an unknown expectation: 417; 100 Continue is sent only after the key was accepted', async () => {
  const url = await serve({ lingerMs: 100 });
  const expecting = (what: string, headers: string) =>
    `POST /machines HTTP/1.1\r\n${headers}Content-Type: application/json\r\nContent-Length: 2\r\nExpect: ${what}\r\n\r\n`;
  const unknown = parse(await exchange(url, expecting('more', auth)));
  expect(unknown).toMatchObject({
    status: 417,
    body: { error: { code: 'BAD_REQUEST', request_id: unknown.name } },
  });
  const stranger = await exchange(url, expecting('100-continue', 'Host: x\r\n'));
  expect(stranger).toMatch(/^HTTP\/1.1 401 /);
  const caller = await exchange(url, `${expecting('100-continue', `${auth}Connection: close\r\n`)}{}`);
  expect(caller).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 400 .*vcpu_count|name is required/s);
});

test('a closing server lets requests finish, and does not wait for idle connections', async () => {
  const url = await serve();
  const ready = Promise.withResolvers<void>();
  fake.guest.onReady = () => ready.promise;
  await fake.machines.create('default', { name: 'slow', vcpuCount: 1, memoryMib: 128 });
  const headers = { Authorization: `Bearer ${testKey}` };
  const answer = fetch(`${url}/machines/slow/start`, { method: 'POST', headers });
  await vi.waitUntil(() => fake.guest.calls.some((call) => call.startsWith('waitReady')));
  const closed = server?.close(60_000);
  server = null;
  ready.resolve();
  expect((await answer).status).toBe(200);
  await closed;
});

describe('a page, while authentication is off', () => {
  const from = async (url: string, headers: Record<string, string>) => {
    const text = Object.entries({ Host: new URL(url).host, ...headers, Connection: 'close' })
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('');
    return parse(await exchange(url, `POST /machines/none/stop HTTP/1.1\r\n${text}\r\n`)).status;
  };

  test('may call only if it is this daemon’s or its origin is allowed', async () => {
    const page = 'https://fleet.example.com';
    const isHostName = (name: string) => name === '127.0.0.1';
    const url = await serve({ keys: openVerifier, isHostName, corsOrigins: new Set([page]) });
    expect(await from(url, {})).toBe(404);
    expect(await from(url, { Origin: url, 'Sec-Fetch-Site': 'same-origin' })).toBe(404);
    expect(await from(url, { Origin: page, 'Sec-Fetch-Site': 'cross-site' })).toBe(404);
    expect(await from(url, { Origin: 'http://127.0.0.1:1', 'Sec-Fetch-Site': 'same-site' })).toBe(403);
    expect(await from(url, { 'Sec-Fetch-Site': 'same-site' })).toBe(403);
    expect(await from(url, { 'Sec-Fetch-Site': 'cross-site' })).toBe(403);
    expect(await from(url, { Origin: 'null' })).toBe(403);
    expect(await from(url, { Host: 'evil.example' })).toBe(403);
  });
});

describe('a body', () => {
  const post = (length: string, body: string) =>
    `POST /machines HTTP/1.1\r\n${auth}Content-Type: application/json\r\n${length}\r\n\r\n${body}`;

  test('that does not arrive: 408, and the connection ends', async () => {
    const url = await serve({ bodyDeadlineMs: 200 });
    const answer = parse(await exchange(url, post('Content-Length: 100', '{"name"')));
    expect(answer).toMatchObject({
      status: 408,
      body: { error: { code: 'TIMEOUT', request_id: answer.name } },
    });
  });

  test.each([
    ['says it is', 'Content-Length: 2000', ''],
    ['turns out to be', 'Transfer-Encoding: chunked', `7d0\r\n${'x'.repeat(2000)}\r\n`],
  ])('that %s too large: 413, before the rest of it arrives', async (_, length, body) => {
    const url = await serve({ bodyBytesMax: 1000, lingerMs: 100 });
    const answer = parse(await exchange(url, post(length, body)));
    expect(answer.status).toBe(413);
    expect(answer.body.error).toMatchObject({ code: 'VALIDATION_ERROR', message: /larger than 1000 bytes/ });
  });

  test('that is refused but still arriving loses neither its answer nor the next request', async () => {
    const url = await serve({ bodyBytesMax: 1000 });
    const bytes = 40 * 1024 * 1024;
    const refused = post(`Content-Length: ${bytes}`, 'GET / HTTP/1.1\r\n'.padEnd(bytes));
    const next = 'GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
    expect(await exchange(url, refused + next)).toMatch(/^HTTP\/1.1 413 .*\r\n\r\n\{.*\}HTTP\/1.1 200 OK/s);
  });

  test('in chunks is one body', async () => {
    const url = await serve();
    const json = JSON.stringify({ name: 'chunked', vcpu_count: 1, mem_size_mib: 128 });
    const chunks = [...json].map((character) => `1\r\n${character}\r\n`).join('');
    const text = post('Connection: close\r\nTransfer-Encoding: chunked', `${chunks}0\r\n\r\n`);
    const answer = await exchange(url, text);
    expect(answer).toMatch(/^HTTP\/1.1 201 /);
  });
});

describe('a page of another origin', () => {
  const page = 'https://fleet.example.com';

  test('may call only when its origin is configured', async () => {
    const url = await serve({ corsOrigins: new Set([page]) });
    const preflight = (origin: string) =>
      fetch(`${url}/machines`, {
        method: 'OPTIONS',
        headers: {
          Origin: origin,
          'Access-Control-Request-Method': 'POST',
          'Access-Control-Request-Headers': 'authorization,content-type',
        },
      });
    const allowed = await preflight(page);
    expect(allowed.status).toBe(204);
    expect(allowed.headers.get('access-control-allow-origin')).toBe(page);
    expect(allowed.headers.get('access-control-allow-headers')).toMatch(/authorization/i);
    expect(
      (await preflight('https://evil.example.com')).headers.get('access-control-allow-origin'),
    ).toBeNull();
    const answer = await fetch(`${url}/machines`, {
      headers: { Origin: page, Authorization: `Bearer ${testKey}` },
    });
    expect(answer.headers.get('access-control-allow-origin')).toBe(page);
    expect(answer.headers.get('access-control-expose-headers')).toMatch(/x-request-id/i);
  });

  test('is not allowed when no origin is configured', async () => {
    const url = await serve();
    const answer = await fetch(`${url}/machines`, {
      headers: { Origin: page, Authorization: `Bearer ${testKey}` },
    });
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
  });
});
