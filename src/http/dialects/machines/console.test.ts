/** `GET /machines/{id}/console` on a real server. */
import { once } from 'node:events';
import { type ClientRequest, get, type IncomingMessage } from 'node:http';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../../../../test/support/fake.ts';
import { followersPerMachineMax } from '../../../core/machines/console.ts';
import type { FakeMachine } from '../../../engines/fake/machine.ts';
import type { HttpServer } from '../../server.ts';
import { toText } from './console.ts';

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
let machine: FakeMachine;
const opened: ClientRequest[] = [];

beforeEach(async () => {
  fake = await startFake();
  ({ server, url } = await serveFake(fake));
  await fake.machines.create('default', { name: 'web', vcpuCount: 1, memoryMib: 128, image: 'busybox' });
  await fake.machines.start('default', 'web');
  const { incarnation } = await fake.machines.get('default', 'web');
  machine = fake.driver.machine(incarnation ?? '');
});
afterEach(async () => {
  for (const request of opened.splice(0)) request.destroy();
  await server.close(0);
  await fake.close();
});

/** Uses its own connection, so that a slow client does not slow others. */
async function read(query = ''): Promise<IncomingMessage> {
  const request = get(`${url}/machines/web/console${query}`, {
    headers: { Authorization: `Bearer ${testKey}` },
    agent: false,
  });
  opened.push(request);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return response;
}
async function rest(pieces: AsyncIterator<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for (;;) {
    const { done, value } = await pieces.next();
    if (done) return Buffer.concat(all);
    all.push(value);
  }
}
const piecesOf = (response: IncomingMessage): AsyncIterator<Buffer> => response[Symbol.asyncIterator]();
const body = (response: IncomingMessage) => rest(piecesOf(response));
const nextText = async (pieces: AsyncIterator<Buffer>) => String((await pieces.next()).value);
const follow = () => read('?follow=true');

test('returns the last lines as plain text that no browser renders', async () => {
  machine.print('one\ntwo\nthree\n');
  const response = await read('?lines=2');
  expect(response.statusCode).toBe(200);
  expect(response.headers).toMatchObject({
    'content-type': 'text/plain; charset=utf-8',
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
    'x-request-id': expect.any(String),
  });
  expect(String(await body(response))).toBe('two\nthree\n');
});

test('begins lines with their times, and returns the previous boot', async () => {
  fake.guest.onShutdown = () => machine.powerOff();
  machine.print('one\ntwo\n', { atMs: Date.parse('2026-11-29T10:00:00Z') });
  const timed = '2026-11-29T10:00:00.000Z two\n';
  expect(String(await body(await read('?lines=1&timestamps=true')))).toBe(timed);
  const none = await read('?previous=true');
  expect(none.statusCode).toBe(404);
  expect(JSON.parse(String(await body(none)))).toMatchObject({ error: { code: 'NOT_FOUND' } });
  await fake.machines.restart('default', 'web');
  expect(String(await body(await read()))).toBe('');
  expect(String(await body(await read('?previous=true')))).toBe('one\ntwo\n');
  expect(String(await body(await read('?lines=1&timestamps=true&previous=true&follow=true')))).toBe(timed);
});

test('returns a hundred lines by default', async () => {
  machine.print(Array.from({ length: 150 }, (_, line) => `${line}\n`).join(''));
  const text = String(await body(await read()));
  expect(text.split('\n')).toHaveLength(101);
  expect(text.startsWith('50\n')).toBe(true);
});

test('returns the guest’s bytes, except those that are not UTF-8', async () => {
  machine.print(Buffer.from([0x1b, 0x5b, 0x32, 0x4a, 0xff, 0x00, 0x0d, 0x0a]));
  expect(String(await body(await read()))).toBe('\x1b[2J\ufffd\0\r\n');
});

test('joins a character split between chunks, and replaces one that is cut off', async () => {
  async function* pieces() {
    for (const byte of Buffer.from('é!é').subarray(0, -1)) yield Buffer.from([byte]);
  }
  expect(await new Response(toText(pieces(), () => undefined)).text()).toBe('é!\ufffd');
});

test.each([
  ['lines=0', 'lines must be at least 1'],
  ['lines=10001', 'lines must be at most 10000'],
  ['lines=x', 'lines must be an integer'],
  ['follow=yes', 'follow must be true or false'],
])('%s: 400', async (query, message) => {
  const response = await read(`?${query}`);
  expect(response.statusCode).toBe(400);
  expect(JSON.parse(String(await body(response)))).toMatchObject({
    error: { code: 'VALIDATION_ERROR', message },
  });
});

test('an engine without console: 400', async () => {
  Object.assign(fake.driver, { console: null });
  const response = await read();
  expect(response.statusCode).toBe(400);
  expect(JSON.parse(String(await body(response)))).toMatchObject({ error: { code: 'BAD_REQUEST' } });
});

test('HEAD takes no follower’s place', async () => {
  const headers = { Authorization: `Bearer ${testKey}` };
  for (let i = 0; i <= followersPerMachineMax; i++) {
    const head = await fetch(`${url}/machines/web/console?follow=true`, { method: 'HEAD', headers });
    expect(head.status).toBe(200);
  }
  const response = await follow();
  expect(response.statusCode).toBe(200);
  response.destroy();
});

test('two followers see the same until the machine stops', async () => {
  fake.guest.onShutdown = () => machine.powerOff();
  const [one, two] = [piecesOf(await follow()), piecesOf(await follow())];
  machine.print('hello\n');
  expect(await Promise.all([nextText(one), nextText(two)])).toEqual(['hello\n', 'hello\n']);
  machine.print('bye\n');
  await fake.machines.stop('default', 'web');
  expect((await Promise.all([rest(one), rest(two)])).map(String)).toEqual(['bye\n', 'bye\n']);
});

test('a follower that leaves makes room for another, even if the guest is silent', async () => {
  const followers: IncomingMessage[] = [];
  for (let i = 0; i < followersPerMachineMax; i++) followers.push(await follow());
  const refused = await follow();
  expect(refused.statusCode).toBe(503);
  expect(JSON.parse(String(await body(refused)))).toMatchObject({
    error: { code: 'RESOURCE_EXHAUSTED', retryable: true },
  });
  followers[0]?.destroy();
  let last = refused;
  while (last.statusCode === 503) last = await follow();
  expect(last.statusCode).toBe(200);
});

test('a client that does not read blocks neither the guest nor another client', async () => {
  const slow = await follow();
  slow.pause();
  const fast = piecesOf(await follow());
  const line = `${'x'.repeat(32 * 1024 - 1)}\n`;
  const printed = 800;
  for (let i = 0; i < printed; i++) {
    machine.print(line);
    let seen = 0;
    while (seen < line.length) seen += (await nextText(fast)).length;
  }
  machine.print('end\n');
  machine.powerOff();
  expect(String(await rest(fast))).toBe('end\n');
  const got = await body(slow);
  expect(got.subarray(-4).toString()).toBe('end\n');
  // Unread output was dropped instead of buffered.
  expect(got.length).toBeLessThan(printed * line.length);
});

test('a daemon that shuts down ends the streams, and the machine keeps running', async () => {
  const response = await follow();
  const ended = body(response);
  ended.catch(() => undefined);
  await Promise.all([server.close(5_000), fake.machines.close()]);
  await expect(ended).rejects.toThrow('aborted');
});
