/** Connections to programs in machines over a WebSocket: both directions, ends, refusals, and clients that misbehave. */
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { refusalOf } from '../../../../../test/support/exec-socket.ts';
import {
  type FakeFlotilla,
  type ServeOptions,
  serveFake,
  startFake,
  testKey,
} from '../../../../../test/support/fake.ts';
import { AppError } from '../../../../core/errors.ts';
import type { HttpServer } from '../../../server.ts';
import { portProtocol } from './port-socket.ts';

const operator = {
  ...{ tenant: 'default', keyName: 'test', keyId: null, expiresAt: null },
  ...{ scopes: ['*'] as const, tier: null, isOperator: true },
};
const end = '{"type":"end"}';

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
beforeEach(async () => {
  fake = await startFake();
  await fake.machines.create('default', { name: 'web', vcpuCount: 1, memoryMib: 128 });
  await fake.machines.start('default', 'web');
  await serve();
});
afterEach(async () => {
  await server.close(0);
  await fake.close();
});

async function serve(options: ServeOptions = {}): Promise<void> {
  if (server !== undefined) await server.close(0);
  ({ server, url } = await serveFake(fake, options));
}
/** A program that listens on port 80; `serve` gets its end of each connection. */
const program = (serve: (connection: Duplex, fail: (error?: Error) => void) => void) =>
  fake.guest.connections.programs.set(80, serve);
const at = (path = '/machines/web/ports/80/ws') => url.replace(/^http/, 'ws') + path;
const options = { protocols: [portProtocol] };

interface Client {
  readonly socket: WebSocket;
  readonly bytes: Buffer[];
  readonly texts: string[];
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
}

async function connected(key = testKey): Promise<Client> {
  const socket = new WebSocket(at(), [portProtocol], { headers: { authorization: `Bearer ${key}` } });
  const [bytes, texts] = [[] as Buffer[], [] as string[]];
  socket.on('message', (data: Buffer, isBinary) => {
    if (isBinary) bytes.push(data);
    else texts.push(data.toString());
  });
  socket.on('error', () => undefined);
  const closed = once(socket, 'close').then(([code, reason]) => ({ code, reason: String(reason) }));
  await once(socket, 'open');
  return { socket, bytes, texts, closed };
}

test('carries both directions, and closes when both have ended', async () => {
  program(async (connection) => connection.end(`got ${await text(connection)}`));
  const client = await connected();
  client.socket.send(Buffer.from('hello '));
  client.socket.send(Buffer.from('world'));
  client.socket.send(end);
  expect(await client.closed).toEqual({ code: 1000, reason: '' });
  expect(Buffer.concat(client.bytes).toString()).toBe('got hello world');
  expect(client.texts).toEqual([end]);
});

test('a program may end first, and still read', async () => {
  const got = Promise.withResolvers<string>();
  program((connection) => {
    connection.end('bye');
    text(connection).then(got.resolve, got.reject);
  });
  const client = await connected();
  await expect.poll(() => client.texts).toEqual([end]);
  client.socket.send(Buffer.from('late'));
  client.socket.send(end);
  expect(await got.promise).toBe('late');
  expect(await client.closed).toMatchObject({ code: 1000 });
});

test('much goes through unchanged', async () => {
  const content = Buffer.alloc(8_000_000, 'flotilla\0');
  const got = Promise.withResolvers<Buffer>();
  program((connection) => {
    connection.end(content);
    buffer(connection).then(got.resolve, got.reject);
  });
  const client = await connected();
  for (let at = 0; at < content.length; at += 60_000) client.socket.send(content.subarray(at, at + 60_000));
  client.socket.send(end);
  await client.closed;
  expect(Buffer.concat(client.bytes).equals(content)).toBe(true);
  expect((await got.promise).equals(content)).toBe(true);
});

test('a client that does not read stops the program, and little waits in the daemon', async () => {
  const writtenMax = 32 * 2 ** 20;
  let written = 0;
  const isStill = Promise.withResolvers<void>();
  program((connection) => {
    const chunk = Buffer.alloc(64 * 1024);
    let timer: NodeJS.Timeout;
    const more = () => {
      clearTimeout(timer);
      if (written >= writtenMax) return isStill.resolve();
      do written += chunk.length;
      while (connection.write(chunk) && written < writtenMax);
      timer = setTimeout(() => isStill.resolve(), 500);
    };
    connection.on('drain', more).on('error', () => undefined);
    more();
  });
  const client = await connected();
  client.socket.pause();
  await isStill.promise;
  // The kernel's buffers of a connection on loopback take a few MiB; without a limit it would never stand still.
  expect(written).toBeLessThan(writtenMax);
  client.socket.terminate();
});

test('a program that breaks the connection is an error', async () => {
  program((connection, fail) => {
    connection.once('data', () => fail(new AppError('conflict', 'the program has broken the connection')));
  });
  const client = await connected();
  client.socket.send(Buffer.from('x'));
  expect(await client.closed).toEqual({ code: 4409, reason: 'the program has broken the connection' });
  expect(JSON.parse(client.texts.at(-1) ?? '')).toMatchObject({ type: 'error', error: { code: 'CONFLICT' } });
});

test('a connection that is lost is an error, not an end', async () => {
  program((connection, fail) => connection.once('data', () => fail()));
  const client = await connected();
  client.socket.send(Buffer.from('x'));
  expect(await client.closed).toMatchObject({ code: 4502 });
});

test('a client that leaves ends the program’s connection', async () => {
  const ended = Promise.withResolvers<void>();
  program((connection) => connection.on('error', () => undefined).on('close', () => ended.resolve()));
  const client = await connected();
  client.socket.terminate();
  await ended.promise;
});

test('a key that is revoked, and a daemon that ends, close it', async () => {
  program((connection) => connection.on('error', () => undefined));
  const made = await fake.apiKeys.create(operator, {
    ...{ name: 'k', scopes: ['machines:exec'], tenant: 'default' },
  });
  const client = await connected(made.secret);
  await fake.apiKeys.revoke(operator, made.key.id);
  expect(await client.closed).toMatchObject({ code: 4401 });
  const other = await connected();
  await server.close(5_000);
  expect(await other.closed).toMatchObject({ code: 1001 });
});

describe('is refused with', () => {
  const refused = (path: string, key = testKey) =>
    refusalOf(at(path).replace(/^ws/, 'http'), { key, ...options });

  test('409 when nothing listens', async () => {
    expect(await refused('/machines/web/ports/81/ws')).toMatchObject({
      ...{ status: 409, body: { error: { code: 'CONFLICT', message: 'Nothing listens on port 81' } } },
    });
  });

  test('400 for a port that is none, and for a machine that does not run', async () => {
    for (const port of ['0', '65536', 'http', '08', '-1'])
      expect(await refused(`/machines/web/ports/${port}/ws`)).toMatchObject({ status: 400 });
    await fake.machines.create('default', { name: 'idle', vcpuCount: 1, memoryMib: 128 });
    expect(await refused('/machines/idle/ports/80/ws')).toMatchObject({ status: 400 });
  });

  test('401 without a key, 403 without the scope, 404 for another tenant’s machine', async () => {
    expect(await refused('/machines/web/ports/80/ws', 'hf_wrong')).toMatchObject({ status: 401 });
    const reader = await fake.apiKeys.create(operator, {
      ...{ name: 'r', scopes: ['machines:read'], tenant: 'default' },
    });
    expect(await refused('/machines/web/ports/80/ws', reader.secret)).toMatchObject({ status: 403 });
    const other = await fake.apiKeys.create(operator, { name: 'o', scopes: ['*'], tenant: 'acme' });
    expect(await refused('/machines/web/ports/80/ws', other.secret)).toMatchObject({ status: 404 });
  });

  test('426 without an upgrade', async () => {
    const headers = { authorization: `Bearer ${testKey}` };
    const answer = await fetch(`${url}/machines/web/ports/80/ws`, { headers });
    expect(answer.status).toBe(426);
  });
});

test.each([
  ['a text that means nothing', 'hello'],
  ['bytes after the end', Buffer.from('x')],
])('4400 for %s', async (_, message) => {
  program((connection) => connection.on('error', () => undefined).resume());
  const client = await connected();
  if (Buffer.isBuffer(message)) client.socket.send(end);
  client.socket.send(message);
  expect(await client.closed).toMatchObject({ code: 4400 });
});

test('at most 128 connections to a machine', async () => {
  program((connection) => connection.on('error', () => undefined));
  const clients = await Promise.all(Array.from({ length: 128 }, () => connected()));
  const over = await refusalOf(at().replace(/^ws/, 'http'), { key: testKey, ...options });
  expect(over.status).toBe(503);
  clients[0]?.socket.terminate();
  await clients[0]?.closed;
  await expect
    .poll(async () => (await connected().catch(() => null))?.socket.readyState === WebSocket.OPEN)
    .toBe(true);
  for (const { socket } of clients) socket.terminate();
});
