/** Commands that outlive their caller through the SDK, on the real server with fake guests. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { FakeCommand } from '../../src/core/testing/fake-commands.ts';
import type { HttpServer } from '../../src/http/server.ts';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../../test/support/fake.ts';
import { FlotillaClient } from './client.ts';
import { relay } from './testing/relay.ts';
import { bodyOf, collect, sendJson, serve } from './testing/server.ts';
import type { ExecOutputEvent } from './types.ts';

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
let client: FlotillaClient;
/** The latest command. */
let command: FakeCommand;

beforeEach(async () => {
  fake = await startFake();
  fake.guest.commands.program = (started) => {
    command = started;
  };
  ({ server, url } = await serveFake(fake));
  client = new FlotillaClient({ url, key: testKey });
  await client.machines.create({ name: 'web', vcpu_count: 1, mem_size_mib: 128 });
  await client.machines.start('web');
});
afterEach(async () => {
  await server.close(0);
  await fake.close();
});

const exited = (exitCode: number) => ({ outcome: 'exited', exitCode }) as const;
const textOf = (events: readonly ExecOutputEvent[]) =>
  events.map((event) => ('data' in event ? new TextDecoder().decode(event.data) : '')).join('');

test('a command is started, listed, shown, signalled and deleted', async () => {
  const { execs } = client;
  const started = await execs.start('web', { command: ['make', 'all'], timeout: 60, env: { A: 'b' } });
  expect(started).toMatchObject({ id: command.request.id, pid: command.pid });
  expect(command.request).toMatchObject({ argv: ['make', 'all'], timeoutMs: 60_000, env: { A: 'b' } });
  const { execs: listed } = await execs.list('web');
  expect(listed).toMatchObject([{ id: started.id, state: 'running', command: ['make', 'all'] }]);
  await execs.signal('web', started.id, 'TERM');
  expect(await execs.get('web', started.id)).toMatchObject({ state: 'ended', signal: 'TERM' });
  await execs.delete('web', started.id);
  await expect(execs.get('web', started.id)).rejects.toMatchObject({ status: 404, code: 'NOT_FOUND' });
});

test('input is written in any form, and a terminal is resized', async () => {
  const { execs } = client;
  const tty = { rows: 24, columns: 80 };
  const { id } = await execs.start('web', { command: ['sh'], tty, stdin_open: true, stdin: 'first ' });
  let read = '';
  command.onInput = (data) => {
    read += Buffer.from(data);
  };
  await execs.write('web', id, 'žluť ');
  await execs.write('web', id, Buffer.from('bytes '));
  async function* pieces() {
    for (const piece of ['a', 'stream']) yield Buffer.from(`${piece} `);
  }
  await execs.write('web', id, pieces(), { end: true });
  expect(read).toBe('žluť bytes a stream ');
  expect(command.takesInput).toBe(false);
  await expect(execs.write('web', id, 'more')).rejects.toMatchObject({ status: 409 });
  await expect(execs.write('web', id, 5 as never)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  await execs.resize('web', id, { rows: 50, columns: 132 });
  expect(command.size).toEqual({ rows: 50, columns: 132 });
});

test('output is read from any cursor: up to now, or to the end', async () => {
  const { execs } = client;
  const { id } = await execs.start('web', { command: ['x'] });
  command.write('stdout', 'out');
  command.write('stderr', 'er');
  expect(await collect(execs.output('web', id, { from: 1 }))).toMatchObject([
    { type: 'stdout', offset: 1, cursor: 3 },
    { type: 'stderr', offset: 0, cursor: 5 },
    { type: 'caught_up', cursor: 5 },
  ]);
  const reading = collect(execs.output('web', id, { follow: true, stream: 'stderr' }));
  command.write('stderr', 'ror');
  command.end(exited(3));
  const events = await reading;
  expect(textOf(events)).toBe('error');
  expect(events.at(-1)).toEqual({ type: 'outcome', outcome: 'exited', exit_code: 3, cursor: 8 });
});

test('a lost connection is made again at the cursor: no byte is missing or doubled', async () => {
  await using between = await relay(url);
  const { execs } = new FlotillaClient({ url: between.url, key: testKey });
  const { id } = await execs.start('web', { command: ['x'] });
  let [text, losses] = ['', 0];
  command.write('stdout', '0 ');
  for await (const event of execs.output('web', id, { follow: true })) {
    if (!('data' in event)) expect(event).toMatchObject({ outcome: 'exited', exit_code: 0 });
    else text += new TextDecoder().decode(event.data);
    if (losses === 10) command.end(exited(0));
    else {
      losses += 1;
      between.cut();
      command.write('stdout', `${losses} `);
    }
  }
  expect(text).toBe('0 1 2 3 4 5 6 7 8 9 10 ');
});

test('waits for the end, also over a lost connection', async () => {
  await using between = await relay(url);
  const { execs } = new FlotillaClient({ url: between.url, key: testKey });
  const { id } = await execs.start('web', { command: ['x'] });
  const waiting = execs.wait('web', id);
  await execs.get('web', id);
  between.cut();
  command.end({ outcome: 'signalled', signal: 'KILL' });
  expect(await waiting).toMatchObject({ outcome: 'signalled', signal: 'KILL', exit_code: 137 });
});

test('waiting has the caller’s limit, and the command runs on', async () => {
  const { id } = await client.execs.start('web', { command: ['x'] });
  const waiting = client.execs.wait('web', id, { timeoutMs: 20 });
  await expect(waiting).rejects.toMatchObject({ code: 'CLIENT_TIMEOUT' });
  expect(command.outcome).toBeNull();
});

test('output that is no longer kept is an error that names what is', async () => {
  const { id } = await client.execs.start('web', { command: ['x'] });
  command.write('stdout', Buffer.alloc(600_000));
  command.write('stdout', Buffer.alloc(600_000));
  await expect(collect(client.execs.output('web', id))).rejects.toMatchObject({
    ...{ status: 410, code: 'CURSOR_EXPIRED', details: { first_cursor: expect.any(Number) } },
  });
});

test('leaving the loop does not end the command; the caller’s abort throws its reason', async () => {
  const { execs } = client;
  const { id } = await execs.start('web', { command: ['x'] });
  command.write('stdout', 'x');
  for await (const _ of execs.output('web', id, { follow: true })) break;
  const abort = new AbortController();
  const reading = async () => {
    for await (const _ of execs.output('web', id, { follow: true, signal: abort.signal }))
      abort.abort(new Error('enough'));
  };
  await expect(reading()).rejects.toThrow('enough');
  expect(command.outcome).toBeNull();
});

test('a server that is not there is an error at once; one that stays away is one after a while', async () => {
  const gone = new FlotillaClient({ url: 'http://127.0.0.1:9', key: testKey });
  await expect(collect(gone.execs.output('web', 'x'))).rejects.toMatchObject({ code: 'UNREACHABLE' });
  await using between = await relay(url);
  const { execs } = new FlotillaClient({ url: between.url, key: testKey });
  const { id } = await execs.start('web', { command: ['x'] });
  command.write('stdout', 'x');
  const reading = async () => {
    for await (const _ of execs.output('web', id, { follow: true, reconnectMs: 200 }))
      await between[Symbol.asyncDispose]();
  };
  await expect(reading()).rejects.toMatchObject({ code: 'UNREACHABLE' });
});

test('a start is never sent twice', async () => {
  let requests = 0;
  await using other = await serve(async (request, response) => {
    requests += 1;
    expect(await bodyOf(request)).toEqual({ command: ['x'], detach: true });
    sendJson(response, 503, { error: { code: 'UNAVAILABLE', message: 'later' } });
  });
  const { execs } = new FlotillaClient({ url: other.url });
  await expect(execs.start('web', { command: ['x'] })).rejects.toMatchObject({ status: 503 });
  expect(requests).toBe(1);
});

test('a launched machine has them, too', async () => {
  await using machine = await client.machines.launch({ image: 'busybox' });
  const { id } = await machine.execs.start({ command: ['x'] });
  command.end(exited(0));
  expect(await machine.execs.wait(id)).toMatchObject({ outcome: 'exited', exit_code: 0 });
});
