/** Connections to programs through the real guest agent, run outside a VM, and a guest that is older. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { buffer, text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { AppError } from '../core/errors.ts';
import type { GuestTarget } from '../core/ports/guest.ts';
import { GuestClient } from './client.ts';
import { GoPrograms, type RunningProgram } from './testing/go-programs.ts';
import { dialVirtioSerial } from './transports/virtio-serial.ts';

const never = new AbortController().signal;
const secret = Buffer.alloc(32, 3);
const target = (path: string): GuestTarget => ({
  ...{ machineId: 'm1', incarnation: 'i1' },
  address: { transport: 'virtio-serial', path },
});

let programs: GoPrograms;
let agent: RunningProgram;
let client: GuestClient;
let server: Server;
beforeAll(async () => {
  programs = await GoPrograms.build('guest-agent');
});
afterAll(() => programs?.close());
beforeEach(async () => {
  agent = await programs.start('guest-agent', (path) => ['serve', '--socket', path]);
  client = new GuestClient({ secret, transports: { 'virtio-serial': dialVirtioSerial } });
  server = createServer({ allowHalfOpen: true });
});
afterEach(async () => {
  await client.close();
  await agent.stop();
  server.close();
});

/** A program that listens in the guest; the connections that it gets. */
async function program(serve: (socket: Socket) => void): Promise<number> {
  server.on('connection', serve);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}
const connect = (port: number, signal = never) =>
  client.connections.connect(target(agent.path), port, signal);

test('each side ends its direction by itself', async () => {
  const port = await program(async (socket) => socket.end(`got ${await text(socket)}`));
  const connection = await connect(port);
  connection.end('hello');
  expect(await text(connection)).toBe('got hello');
  expect(connection.destroyed).toBe(true);
});

test('the program may end first', async () => {
  const got = Promise.withResolvers<string>();
  const port = await program((socket) => {
    socket.end('bye');
    text(socket).then(got.resolve, got.reject);
  });
  const connection = await connect(port);
  expect(await text(connection)).toBe('bye');
  connection.end('late');
  expect(await got.promise).toBe('late');
});

test('much goes in both directions at once, unchanged', async () => {
  const sent = randomBytes(20_000_000);
  const port = await program((socket) => socket.pipe(socket));
  const connection = await connect(port);
  connection.end(sent);
  const got = await buffer(connection);
  const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
  expect(digest(got)).toBe(digest(sent));
});

test('a reader that stops holds the program back, and nobody else', async () => {
  let accepted = 0;
  const chunk = Buffer.alloc(64 * 1024);
  const port = await program((socket) => {
    const more = () => {
      while (socket.write(chunk)) accepted += chunk.length;
      accepted += chunk.length;
    };
    socket.on('drain', more).on('error', () => undefined);
    if (accepted === 0) more();
    else socket.end('quick');
  });
  const stopped = await connect(port);
  const other = await connect(port);
  other.end();
  expect(await text(other)).toBe('quick');
  expect(stopped.readableLength).toBeLessThanOrEqual(128 * 1024);
  stopped.destroy();
});

test('a program that breaks the connection is an error', async () => {
  const port = await program((socket) => socket.once('data', () => socket.resetAndDestroy()));
  const connection = await connect(port);
  connection.write('x');
  await expect(text(connection)).rejects.toMatchObject({ code: 'conflict' });
});

test('nothing listens: conflict', async () => {
  const port = await program(() => undefined);
  server.close();
  await expect(connect(port)).rejects.toMatchObject({
    code: 'conflict',
    message: `nothing listens on port ${port}`,
  });
});

test('leaving ends the program’s connection', async () => {
  const ended = Promise.withResolvers<void>();
  const port = await program((socket) => {
    socket.on('error', () => undefined).on('close', () => ended.resolve());
    socket.resume().on('end', () => socket.end());
  });
  (await connect(port)).destroy();
  await ended.promise;
  const leaving = new AbortController();
  const reason = new AppError('unavailable', 'enough');
  const connection = await connect(port, leaving.signal);
  leaving.abort(reason);
  await expect(text(connection)).rejects.toBe(reason);
});

test('a lost link is an error, not an end', async () => {
  const port = await program((socket) => socket.write('begun'));
  const connection = await connect(port);
  connection.on('error', () => undefined);
  await once(connection, 'readable');
  await agent.stop();
  await expect(text(connection)).rejects.toMatchObject({ code: 'guest' });
});
