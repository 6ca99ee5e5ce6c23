/** The subprotocol flotilla.exec.v1 over a real server, on the fake guest: commands, terminals, windows, and attaching again. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { TestSocket, type TestSocketOptions } from '../../../../../../test/support/exec-socket.ts';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../../../../../../test/support/fake.ts';
import { AppError } from '../../../../../core/errors.ts';
import type { FakeCommand } from '../../../../../core/testing/fake-commands.ts';
import type { HttpServer } from '../../../../server.ts';
import { windowBytes } from './send-window.ts';

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
let id: string;
/** The latest command. */
let command: FakeCommand;

beforeEach(async () => {
  fake = await startFake();
  fake.guest.commands.program = (started) => {
    command = started;
  };
  ({ server, url } = await serveFake(fake));
  const created = await call('POST', '/machines', { name: 'web', vcpu_count: 1, mem_size_mib: 128 });
  ({ id } = (await created.json()) as { id: string });
  await call('POST', `/machines/${id}/start`);
});
afterEach(async () => {
  await server.close(0);
  await fake.close();
});

const call = (method: string, path: string, body?: object) =>
  fetch(`${url}${path}`, {
    method,
    headers: {
      Authorization: `Bearer ${testKey}`,
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
const open = (options: TestSocketOptions = {}) =>
  new TestSocket(`${url}/machines/web/exec/ws`, { key: testKey, ...options }).opened();
const start = async (message: object = {}, options?: TestSocketOptions) => {
  const socket = await open(options);
  socket.send({ type: 'start', command: ['x'], ...message });
  await socket.message('started');
  return socket;
};
const attach = async (eid: unknown, from?: number, options?: TestSocketOptions) => {
  const socket = await open(options);
  socket.send({ type: 'attach', id: eid, ...(from === undefined ? {} : { from }) });
  return socket;
};
const exited = (exitCode: number) => ({ outcome: 'exited', exitCode }) as const;

describe('a command', () => {
  test('is named, its streams are apart, and its end closes the connection', async () => {
    const socket = await start({ command: ['make', 'all'], cwd: '/src', user: 'me', env: { A: 'b' } });
    expect(await socket.message('started')).toEqual({
      ...{ type: 'started', id: command.request.id, machine_id: id, pid: command.pid, cursor: 0, stdin: 0 },
    });
    expect(command.request).toMatchObject({
      ...{
        argv: ['make', 'all'],
        cwd: '/src',
        user: 'me',
        env: { A: 'b' },
        timeoutMs: 30_000,
        hasStdin: true,
      },
    });
    command.write('stdout', 'out');
    command.write('stderr', 'er');
    command.end(exited(3));
    expect(await socket.close()).toEqual({ code: 1000, reason: '' });
    expect(socket.output).toEqual({ stdout: 'out', stderr: 'er', bytes: 5 });
    expect(socket.messages.at(-1)).toEqual({
      ...{ type: 'exit', outcome: 'exited', exit_code: 3, signal: null, reason: null, cursor: 5 },
    });
  });

  test('at a terminal has a size, and a day', async () => {
    const socket = await start({ tty: { cols: 132, rows: 50 } });
    expect(command.size).toEqual({ columns: 132, rows: 50 });
    expect(command.request.timeoutMs).toBe(86_400_000);
    expect(command.request.env).toMatchObject({ TERM: 'xterm-256color' });
    const resized = Promise.withResolvers<unknown>();
    command.onResize = resized.resolve;
    socket.send({ type: 'resize', cols: 80, rows: 24 });
    expect(await resized.promise).toEqual({ columns: 80, rows: 24 });
    const signalled = Promise.withResolvers<string>();
    command.onSignal = signalled.resolve;
    socket.send({ type: 'signal', signal: 'SIGWINCH' });
    expect(await signalled.promise).toBe('WINCH');
    command.end({ outcome: 'signalled', signal: 'HUP' });
    await socket.close();
    expect(socket.messages.at(-1)).toMatchObject({ outcome: 'signalled', signal: 'HUP', exit_code: 129 });
  });

  test('gets its input, which is acknowledged when it is taken; then its end', async () => {
    const socket = await open();
    socket.send({ type: 'start', command: ['cat'] });
    // Without waiting for the command.
    socket.input('hello ');
    socket.input('');
    await socket.until(() => socket.messages.some(({ type, bytes }) => type === 'ack' && bytes === 6));
    let read = '';
    const ended = Promise.withResolvers<void>();
    command.onInput = (data) => {
      read += Buffer.from(data);
    };
    command.onInputEnd = ended.resolve;
    socket.input('world');
    socket.send({ type: 'stdin_end' });
    await ended.promise;
    expect(read).toBe('world');
    await socket.until(() => socket.messages.some(({ type, bytes }) => type === 'ack' && bytes === 11));
    expect(command.fed).toBe(11);
  });

  test('that takes no input says so, once, and drops it', async () => {
    const socket = await start({ stdin: false });
    expect(command.request.hasStdin).toBe(false);
    socket.input('a');
    socket.send({ type: 'stdin_end' });
    const other = await attach(command.request.id);
    other.input('b');
    await other.message('stdin_closed');
    other.input('c');
    await other.until(() => other.messages.some(({ type, bytes }) => type === 'ack' && bytes === 2));
    expect(other.messages.filter(({ type }) => type === 'stdin_closed')).toHaveLength(1);
  });

  test('that cannot be run has the output of a shell', async () => {
    fake.guest.commands.program = () => {
      throw new AppError('invalid', 'x: not found', { details: { exitCode: 127 } });
    };
    const socket = await open();
    socket.send({ type: 'start', command: ['x'] });
    socket.input('dropped');
    expect((await socket.close()).code).toBe(1000);
    expect(socket.output.stderr).toBe('x: not found\n');
    expect(socket.messages.at(-1)).toMatchObject({ type: 'exit', exit_code: 127 });
  });

  test('goes on when its client leaves, and another attaches without a byte missing or doubled', async () => {
    const first = await start();
    command.write('stdout', 'one ');
    await first.until(() => first.output.stdout === 'one ');
    first.socket.terminate();
    command.write('stdout', 'two ');
    expect(command.outcome).toBeNull();
    const second = await attach(command.request.id, 4);
    expect(await second.message('started')).toMatchObject({
      id: command.request.id,
      cursor: 4,
      pid: command.pid,
    });
    fake.guest.commands.loseLink();
    command.write('stdout', 'three');
    command.end(exited(0));
    await second.close();
    expect(second.output.stdout).toBe('two three');
    const third = await attach(command.request.id);
    await third.close();
    expect(third.output.stdout).toBe('one two three');
    expect(third.messages.at(-1)).toMatchObject({ type: 'exit', cursor: 13 });
  });

  test('that is attached to tells how much input it has taken', async () => {
    const first = await start();
    first.input('12345');
    await first.message('ack');
    const second = await attach(command.request.id);
    expect(await second.message('started')).toMatchObject({ stdin: 5 });
  });
});

describe('what goes wrong after the handshake is an error in the dialect’s form, and a close code', () => {
  test.each<[string, (socket: TestSocket) => void, number, object]>([
    ['no such command', (s) => s.send({ type: 'attach', id: 'nope' }), 4404, { code: 'NOT_FOUND' }],
    ['no JSON', (s) => s.send('{'), 4400, { code: 'BAD_REQUEST' }],
    ['no object', (s) => s.send('[]'), 4400, { code: 'BAD_REQUEST' }],
    [
      'no type',
      (s) => s.send({ kind: 'start' }),
      4400,
      { message: expect.stringMatching(/type of a message/) },
    ],
    ['another type', (s) => s.send({ type: 'toString' }), 4400, { code: 'BAD_REQUEST' }],
    ['no command', (s) => s.send({ type: 'start' }), 4400, { message: 'start: command is required' }],
    [
      'an unknown field',
      (s) => s.send({ type: 'start', command: ['x'], comand: 1 }),
      4400,
      { message: expect.stringMatching(/unknown field 'comand': did you mean 'command'/) },
    ],
    ['a NUL', (s) => s.send({ type: 'start', command: ['a\0'] }), 4400, { code: 'BAD_REQUEST' }],
    ['a size first', (s) => s.send({ type: 'resize', cols: 1, rows: 1 }), 4400, { code: 'BAD_REQUEST' }],
    ['input first', (s) => s.input('x'), 4400, { code: 'BAD_REQUEST' }],
    [
      'two commands',
      (s) => {
        s.send({ type: 'start', command: ['x'] });
        s.send({ type: 'start', command: ['x'] });
      },
      4400,
      { message: expect.stringMatching(/has a command already/) },
    ],
    [
      'another channel',
      (s) => {
        s.send({ type: 'start', command: ['x'] });
        s.input('x', 1);
      },
      4400,
      { message: expect.stringMatching(/first byte/) },
    ],
    [
      'input after its end',
      (s) => {
        s.send({ type: 'start', command: ['x'] });
        s.send({ type: 'stdin_end' });
        s.input('x');
      },
      4400,
      { message: expect.stringMatching(/after its end/) },
    ],
    [
      'an acknowledgement of what was not sent',
      (s) => {
        s.send({ type: 'start', command: ['x'] });
        s.send({ type: 'ack', bytes: 1 });
      },
      4400,
      { message: expect.stringMatching(/^ack: /) },
    ],
  ])('%s', async (_, act, code, error) => {
    const socket = await open({ acks: false });
    act(socket);
    const closed = await socket.close();
    expect(closed.code).toBe(code);
    expect(closed.reason).not.toBe('');
    const told = socket.messages.at(-1);
    expect(told).toMatchObject({ type: 'error', error: { request_id: expect.any(String), ...error } });
  });

  test('output that is no longer kept', async () => {
    (await start()).socket.terminate();
    await vi.waitFor(() => expect(command.readers).toBe(0));
    for (let i = 0; i < 5; i++) command.write('stdout', Buffer.alloc(200_000));
    command.end(exited(0));
    const socket = await attach(command.request.id);
    expect((await socket.close()).code).toBe(4410);
    expect(socket.messages.at(-1)).toMatchObject({
      error: { code: 'CURSOR_EXPIRED', details: { first_cursor: expect.any(Number) } },
    });
  });

  test('a guest that cannot be reached', async () => {
    fake.guest.commands.failures.set('start', new AppError('guest', 'the link is lost'));
    const socket = await open();
    socket.send({ type: 'start', command: ['x'] });
    expect((await socket.close()).code).toBe(4502);
    expect(socket.messages).toMatchObject([{ type: 'error', error: { code: 'VSOCK_ERROR' } }]);
  });

  test('input that the guest does not take', async () => {
    const socket = await start();
    fake.guest.commands.failures.set('feed', new AppError('guest', 'the link is lost'));
    socket.input('x');
    expect((await socket.close()).code).toBe(4502);
    expect(command.outcome).toBeNull();
  });

  test('a machine that stops', async () => {
    const socket = await start();
    await call('DELETE', `/machines/${id}?force=true`);
    fake.guest.commands.loseLink();
    await socket.close();
    expect(socket.messages.at(-1)).toMatchObject({
      type: 'exit',
      outcome: 'unknown',
      reason: expect.any(String),
    });
  });
});

describe('windows', () => {
  test('a client that does not acknowledge gets one window, and no other client waits for it', async () => {
    const slow = await start({}, { acks: false });
    const slowCommand = command;
    const fast = await start();
    for (let i = 0; i < 10; i++) {
      slowCommand.write('stdout', Buffer.alloc(100_000, 97));
      command.write('stdout', Buffer.alloc(100_000, 97));
    }
    await fast.until(() => fast.output.bytes === 1_000_000);
    await slow.until(() => slow.output.bytes === windowBytes);
    slow.send({ type: 'ack', bytes: 100_000 });
    await slow.until(() => slow.output.bytes === windowBytes + 100_000);
    slow.send({ type: 'ack', bytes: windowBytes + 100_000 });
    await slow.until(() => slow.output.bytes === 2 * windowBytes + 100_000);
    slow.socket.terminate();
    await vi.waitFor(() => expect(slowCommand.readers).toBe(0));
  });

  test('a client that exceeds the window of standard input is told so', async () => {
    const never = Promise.withResolvers<void>();
    vi.spyOn(fake.guest.commands, 'feed').mockReturnValue(never.promise);
    const socket = await start();
    for (let sent = 0; sent < windowBytes; sent += 32 * 1024) socket.input(Buffer.alloc(32 * 1024));
    socket.input('x');
    expect(await socket.close()).toMatchObject({
      code: 4400,
      reason: expect.stringMatching(/unacknowledged/),
    });
    never.resolve();
  });

  test('signals do not wait for input that is not read', async () => {
    const never = Promise.withResolvers<void>();
    vi.spyOn(fake.guest.commands, 'feed').mockReturnValue(never.promise);
    const socket = await start();
    socket.input('x');
    socket.send({ type: 'signal', signal: 'INT' });
    await socket.close();
    expect(socket.messages.at(-1)).toMatchObject({ outcome: 'signalled', signal: 'INT' });
    never.resolve();
  });
});
