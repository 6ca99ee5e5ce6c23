/**
 * Who gets a WebSocket for commands, and when it ends: the handshake passes the gate of every route, and each refusal is an
 * HTTP answer. Hostile clients end, and nothing of them is left.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Writable } from 'node:stream';
import fc from 'fast-check';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  execProtocol,
  refusalOf,
  TestSocket,
  type TestSocketOptions,
} from '../../../../../../test/support/exec-socket.ts';
import {
  type FakeFlotilla,
  type ServeOptions,
  serveFake,
  startFake,
  testKey,
} from '../../../../../../test/support/fake.ts';
import { isQuick } from '../../../../../../test/support/thoroughness.ts';
import type { Scope } from '../../../../../core/keys/caller.ts';
import type { HttpServer } from '../../../../server.ts';
import { messageBytesMax } from '../../../../websocket.ts';

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
let log = '';
const path = '/machines/web/exec/ws';
const operator = {
  ...{ tenant: 'default', keyName: 'test', keyId: null, expiresAt: null },
  ...{ scopes: ['*'] as const, tier: null, isOperator: true },
};

beforeEach(async () => {
  log = '';
  fake = await startFake();
  fake.guest.commands.program = () => undefined;
  await serve();
  await fake.machines.create('default', { name: 'web', vcpuCount: 1, memoryMib: 128 });
  await fake.machines.start('default', 'web');
});
afterEach(async () => {
  await server.close(0);
  await fake.close();
});

async function serve(options: ServeOptions = {}): Promise<void> {
  if (server !== undefined) await server.close(0);
  const sink = new Writable({
    write(chunk, _, done) {
      log += String(chunk);
      done();
    },
  });
  ({ server, url } = await serveFake(fake, { log: pino({ level: 'trace' }, sink), ...options }));
}

const at = (to = path) => `${url}${to}`;
const open = (options: TestSocketOptions = {}) => new TestSocket(at(), { key: testKey, ...options }).opened();
const makeKey = (scopes: readonly Scope[], tenant = 'default') =>
  fake.apiKeys.create(operator, { name: 'k', scopes, tenant });
const offered = (key: string) => `flotilla.key.${Buffer.from(key).toString('base64url')}`;
const start = { type: 'start', command: ['x'] };

describe('a handshake is refused with', () => {
  test('401 without a key, and with a wrong one in either place', async () => {
    for (const options of [
      {},
      { key: 'hf_wrong' },
      { protocols: [execProtocol, offered('hf_wrong')] },
      { protocols: [execProtocol, 'flotilla.key.'] },
      { protocols: [execProtocol, offered(testKey), offered('hf_other')] },
      { protocols: [execProtocol, 'flotilla.key.a~b'] },
    ])
      expect(await refusalOf(at(), options)).toMatchObject({
        ...{ status: 401, body: { error: { code: 'UNAUTHORIZED' } } },
        headers: { 'www-authenticate': 'Bearer', connection: 'close' },
      });
  });

  test('403 with a key that may not run commands, and for a page that may not call the API', async () => {
    const { secret } = await makeKey(['machines:read']);
    expect(await refusalOf(at(), { key: secret })).toMatchObject({ status: 403 });
    const origin = 'https://evil.example';
    expect(await refusalOf(at(), { key: testKey, origin })).toMatchObject({
      ...{ status: 403, body: { error: { hint: expect.stringMatching(/FLOTILLA_CORS_ORIGINS/) } } },
    });
  });

  test('404 for a machine that is not there or another tenant’s, and 400 for one that does not run', async () => {
    expect(await refusalOf(at('/machines/nope/exec/ws'), { key: testKey })).toMatchObject({
      ...{ status: 404, body: { error: { code: 'NOT_FOUND' } } },
    });
    const { secret } = await makeKey(['*'], 'acme');
    expect(await refusalOf(at(), { key: secret })).toMatchObject({ status: 404 });
    await fake.machines.create('default', { name: 'idle', vcpuCount: 1, memoryMib: 128 });
    expect(await refusalOf(at('/machines/idle/exec/ws'), { key: testKey })).toMatchObject({
      ...{ status: 400, body: { error: { message: 'Machine must be running to execute commands' } } },
    });
  });

  test('400 or 426 for another protocol or version, or a query', async () => {
    for (const [options, status] of [
      [{ protocols: [] }, 400],
      [{ protocols: ['chat'] }, 400],
      [{ protocols: ['chat', execProtocol] }, 400],
      [{ protocolVersion: 8 }, 426],
    ] as const)
      expect(await refusalOf(at(), { key: testKey, ...options })).toMatchObject({ status });
    expect(await refusalOf(at(`${path}?from=1`), { key: testKey })).toMatchObject({ status: 400 });
    expect(await refusalOf(at('/machines/%zz/exec/ws'), { key: testKey })).toMatchObject({ status: 400 });
  });

  test('an ordinary answer elsewhere, which ends the connection', async () => {
    expect(await refusalOf(at('/machines/web'), { key: testKey })).toMatchObject({
      ...{ status: 200, headers: { connection: 'close' }, body: { name: 'web' } },
    });
    expect(await refusalOf(at('/nowhere'), { key: testKey })).toMatchObject({ status: 404 });
    expect(await refusalOf(at('/nowhere'))).toMatchObject({ status: 401 });
  });

  test('503 when the caller has too many requests', async () => {
    await serve({ connectionLimits: { strangers: 9, strangersPerAddress: 9, perTenant: 1, tenants: 9 } });
    const { secret } = await makeKey(['*']);
    const first = await open({ key: secret });
    expect(await refusalOf(at(), { key: secret })).toMatchObject({ status: 503 });
    first.socket.terminate();
  });
});

test('a plain request, another upgrade and another method are answered, and the connection goes on', async () => {
  const get = (headers: Record<string, string> = {}, method = 'GET', to = path) => {
    const head = { Host: 'x', Authorization: `Bearer ${testKey}`, ...headers };
    const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}\r\n`);
    return `${method} ${to} HTTP/1.1\r\n${lines.join('')}\r\n`;
  };
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  let received = '';
  socket.on('data', (data) => {
    received += data;
  });
  const upgrade = { Connection: 'Upgrade', Upgrade: 'websocket' };
  const statuses = () => [...received.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => status);
  const requests = [
    get(),
    get({ Connection: 'Upgrade', Upgrade: 'h2c' }),
    get(upgrade, 'HEAD'),
    get({ Connection: 'Upgrade', Upgrade: 'h2c' }, 'GET', '/machines/web'),
    // Behind one that is being answered, in one piece.
    get() + get({ ...upgrade, 'Sec-WebSocket-Version': '13' }),
  ];
  const ended = once(socket, 'end');
  for (const [index, request] of requests.entries()) {
    socket.write(request);
    await vi.waitFor(() => expect(statuses().length).toBeGreaterThan(index));
  }
  await ended;
  socket.end();
  expect(statuses()).toEqual(['426', '426', '426', '200', '426', '400']);
  expect(received).toMatch(/^Upgrade: websocket\r$/im);
});

test('a key is accepted as a subprotocol, which is never selected, and no key is in the log', async () => {
  const { secret } = await makeKey(['machines:exec']);
  for (const key of [testKey, secret]) {
    const socket = await new TestSocket(at(), { protocols: [execProtocol, offered(key)] }).opened();
    expect(socket.socket.protocol).toBe(execProtocol);
    socket.send(start);
    await socket.message('started');
    socket.socket.close();
    await socket.close();
  }
  await refusalOf(at(), { protocols: ['chat', offered(testKey)] });
  expect(log).toContain('"status":101');
  expect(log).toContain('websocket closed');
  for (const key of [testKey, secret]) {
    expect(log).not.toContain(key);
    expect(log).not.toContain(offered(key));
  }
});

test('the answer names the request, and a page of an allowed origin is served', async () => {
  await serve({ corsOrigins: new Set(['https://fleet.example']) });
  const socket = new TestSocket(at(), { key: testKey, origin: 'https://fleet.example' });
  const [answer] = await once(socket.socket, 'upgrade');
  expect(answer.headers['x-request-id']).toMatch(/^[\w-]{36}$/);
  socket.socket.terminate();
  const own = await open({ origin: url });
  own.socket.terminate();
});

test('while authentication is off, pages from elsewhere are refused', async () => {
  await serve({ isHostName: (name) => name === '127.0.0.1', keys: { verify: async () => operator } });
  (await new TestSocket(at()).opened()).socket.terminate();
  expect(await refusalOf(at(), { origin: 'https://evil.example' })).toMatchObject({ status: 403 });
  expect(await refusalOf(at(), { headers: { host: 'evil.example' } })).toMatchObject({ status: 403 });
});

describe('an open connection ends', () => {
  test('when its key is revoked: nothing more goes in or out, and the command runs on', async () => {
    const { key, secret } = await makeKey(['machines:exec']);
    const socket = await open({ key: secret });
    socket.send(start);
    await socket.message('started');
    const idle = await open({ key: secret });
    await fake.apiKeys.revoke(operator, key.id);
    expect((await idle.close()).code).toBe(4401);
    expect(await socket.close()).toEqual({ code: 4401, reason: 'API key has been revoked' });
    expect(socket.messages.at(-1)).toMatchObject({ type: 'error', error: { code: 'UNAUTHORIZED' } });
    const [command] = fake.guest.commands.all();
    expect(command?.outcome).toBeNull();
    expect(command?.readers).toBe(0);
  });

  test('when the daemon shuts down: the client is told, and one that does not listen is cut', async () => {
    const socket = await open();
    socket.send(start);
    await socket.message('started');
    const deaf = await open();
    deaf.socket.pause();
    await server.close(300);
    expect(await socket.close()).toMatchObject({ code: 1001 });
    deaf.socket.resume();
    await deaf.close();
    expect(fake.guest.commands.all()[0]?.outcome).toBeNull();
  });

  test('when no command is asked for in time', async () => {
    await serve({ socketTimings: { startMs: 30, pingMs: 10_000, silentMs: 10_000 } });
    const socket = await open();
    expect(await socket.close()).toMatchObject({ code: 4504, reason: expect.stringMatching(/`start`/) });
  });

  test('when the client has vanished, and not while it answers pings', async () => {
    await serve({ socketTimings: { startMs: 10_000, pingMs: 10, silentMs: 100 } });
    const alive = await open();
    alive.send(start);
    await alive.message('started');
    let pings = 0;
    alive.socket.on('ping', () => {
      pings += 1;
    });
    const vanished = await open({ autoPong: false });
    vanished.send(start);
    expect((await vanished.close()).code).toBe(1006);
    await vi.waitFor(() => expect(pings).toBeGreaterThan(10));
    expect(alive.closed).toBeNull();
    alive.socket.terminate();
  });
});

describe('hostile clients', () => {
  /** Frames that no honest client sends, after an honest handshake. */
  async function raw(): Promise<Socket> {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    const headers = [
      ...[`GET ${path} HTTP/1.1`, 'Host: x', 'Connection: Upgrade', 'Upgrade: websocket'],
      ...['Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='],
      ...[`Sec-WebSocket-Protocol: ${execProtocol}`, `Authorization: Bearer ${testKey}`, '', ''],
    ];
    socket.write(headers.join('\r\n'));
    const [answer] = await once(socket, 'data');
    expect(String(answer)).toMatch(/^HTTP\/1.1 101 /);
    // The server resets some of them.
    socket.on('error', () => undefined);
    return socket;
  }
  const frame = (first: number, payload: Buffer, { isMasked = true } = {}) => {
    const length =
      payload.length < 126
        ? Buffer.from([payload.length | (isMasked ? 128 : 0)])
        : Buffer.from([126 | (isMasked ? 128 : 0), payload.length >> 8, payload.length & 255]);
    return Buffer.concat([Buffer.from([first]), length, Buffer.alloc(isMasked ? 4 : 0), payload]);
  };
  const closed = (socket: Socket) =>
    socket.destroyed
      ? Promise.resolve()
      : new Promise<void>((resolve) => void socket.on('close', () => resolve()));

  test.each<[string, Buffer]>([
    ['noise', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['a frame without a mask', frame(0x81, Buffer.from('{}'), { isMasked: false })],
    ['reserved bits', frame(0xf1, Buffer.from('{}'))],
    ['an unknown opcode', frame(0x83, Buffer.from('{}'))],
    ['text that is not UTF-8', frame(0x81, Buffer.from([0xff, 0xfe]))],
    ['the announcement of a huge frame', Buffer.from([0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])],
    ['a continuation of nothing', frame(0x80, Buffer.from('x'))],
    [
      'more fragments than any client sends',
      Buffer.concat(Array.from({ length: 80 }, (_, i) => frame(i === 0 ? 0x02 : 0x00, Buffer.from('x')))),
    ],
  ])('%s: the connection ends', async (_, bytes) => {
    const socket = await raw();
    socket.resume();
    socket.write(bytes);
    socket.end();
    await closed(socket);
  });

  test('a message over the limit is refused by its size', async () => {
    const socket = await open();
    socket.send(start);
    socket.input(Buffer.alloc(messageBytesMax));
    expect((await socket.close()).code).toBe(1009);
    const next = await open();
    next.send(start);
    next.input(Buffer.alloc(messageBytesMax - 1));
    await next.message('ack');
    next.socket.terminate();
  });

  test('pings that are not read do not pile up in the daemon', async () => {
    const socket = await raw();
    socket.pause();
    const ping = frame(0x89, Buffer.alloc(125));
    const flood = Buffer.concat(Array.from({ length: 500 }, () => ping));
    for (let sent = 0; sent < 10_000_000; sent += flood.length)
      if (!socket.write(flood)) await Promise.race([once(socket, 'drain'), closed(socket)]);
    expect((await open()).socket.readyState).toBe(1);
    socket.destroy();
  });

  test('whatever comes, in whatever pieces: the daemon answers others, and nothing is left', async () => {
    const text = fc.oneof(
      fc.json(),
      fc
        .record(
          {
            type: fc.constantFrom('start', 'attach', 'ack', 'resize', 'signal', 'stdin_end'),
            command: fc.anything(),
            id: fc.anything(),
            bytes: fc.anything(),
            cols: fc.anything(),
            rows: fc.anything(),
            signal: fc.anything(),
          },
          { requiredKeys: ['type'] },
        )
        .map((value) => JSON.stringify(value)),
      fc.constant(JSON.stringify(start)),
    );
    const piece = fc.oneof(
      text.map((each) => frame(0x81, Buffer.from(each))),
      fc.uint8Array({ maxLength: 300 }).map((bytes) => frame(0x82, Buffer.from(bytes))),
      fc
        .tuple(fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 130 }))
        .map(([first, bytes]) => frame(first, Buffer.from(bytes))),
      fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 6 }), async (pieces) => {
        const socket = await raw();
        socket.resume();
        for (const each of pieces) socket.write(each);
        socket.end();
        await closed(socket);
      }),
      { numRuns: isQuick ? 60 : 300, seed: 20_261_129 },
    );
    expect(log).not.toContain('"level":50');
    await vi.waitFor(() =>
      expect(fake.guest.commands.all().every(({ readers }) => readers === 0)).toBe(true),
    );
    await vi.waitFor(async () => expect(await server.connections()).toBe(0));
  });
});
