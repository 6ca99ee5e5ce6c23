/** Commands of machines that outlive their caller; on the fake guest, with the real store. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeFlotilla, startFake } from '../../../test/support/fake.ts';
import { AppError } from '../errors.ts';
import type { ExecEvent } from '../ports/guest.ts';
import type { GuestCommands } from '../ports/guest-commands.ts';
import type { FakeCommand } from '../testing/fake-commands.ts';
import type { OutputEvent, OutputRequest } from './command.ts';
import { callsPerMachineMax, readersPerMachineMax } from './service.ts';

const tenant = 'default';
const of = { tenant, machine: 'web' };
const never = new AbortController().signal;
const whole: OutputRequest = { from: 0, isFollowed: true };
const exited = (exitCode: number) => ({ outcome: 'exited', exitCode }) as const;
let fake: FakeFlotilla;
/** The latest command. */
let command: FakeCommand;

beforeEach(async () => {
  fake = await startFake();
  await fake.machines.create(tenant, {
    name: 'web',
    vcpuCount: 1,
    memoryMib: 128,
    env: { LANG: 'C', A: 'm' },
  });
  await fake.machines.start(tenant, 'web');
  fake.guest.commands.program = (started) => {
    command = started;
  };
});
afterEach(() => fake.close());

const start = (request = {}) => fake.commands.start(of, { argv: ['x'], ...request }, never);

async function collect(events: AsyncIterable<OutputEvent>) {
  const result = { stdout: '', stderr: '', end: null as unknown, cursor: -1 };
  for await (const event of events) {
    if ('data' in event) result[event.type] += Buffer.from(event.data).toString();
    else result.end = event.type === 'outcome' ? event.outcome : event.type;
    result.cursor = event.cursor;
  }
  return result;
}

const outputOf = async (id: string, request: Partial<OutputRequest> = {}) =>
  collect((await fake.commands.output(of, id, { ...whole, ...request }, never)).events);

describe('start', () => {
  test('answers at once, and the command is listed until it is deleted', async () => {
    const { id, pid, machineId } = await start({ argv: ['make', 'all'], cwd: '/src', user: 'me' });
    expect(id).toMatch(/^[a-z0-9]{12}$/);
    expect(command.request).toMatchObject({
      ...{ id, argv: ['make', 'all'], cwd: '/src', user: 'me', hasStdin: false },
      env: { LANG: 'C', A: 'm' },
    });
    expect(command.request).not.toHaveProperty('timeoutMs');
    expect(await fake.commands.list(of, never)).toMatchObject([{ id, machineId, pid, outcome: null }]);
    expect(await fake.commands.get(of, id, never)).toMatchObject({ words: ['make', 'all'] });
    await fake.commands.delete(of, id, never);
    expect(await fake.commands.list(of, never)).toEqual([]);
    await expect(fake.commands.get(of, id, never)).rejects.toMatchObject({ code: 'not_found' });
  });

  test('a terminal has a name, unless the machine or the request give it one', async () => {
    const terminal = { rows: 24, columns: 80 };
    await start({ terminal });
    expect(command.request).toMatchObject({ terminal, env: { TERM: 'xterm-256color' } });
    await start({ terminal, env: { TERM: 'dumb', A: 'r' } });
    expect(command.request.env).toEqual({ LANG: 'C', A: 'r', TERM: 'dumb' });
  });

  test('passes on standard input, and closes it or leaves it open', async () => {
    let got = '';
    fake.guest.commands.program = (started) => {
      started.onInput = (data) => {
        got += Buffer.from(data).toString();
      };
      started.onInputEnd = () => started.end(exited(0));
    };
    const { id } = await start({ stdin: Buffer.from('one '), isStdinOpen: true });
    expect((await fake.commands.get(of, id, never)).outcome).toBeNull();
    const more = async function* () {
      yield Buffer.from('two');
    };
    await fake.commands.feed(of, id, more(), true, never);
    expect(got).toBe('one two');
    expect((await fake.commands.get(of, id, never)).outcome).toEqual(exited(0));
    const closed = await start({ stdin: Buffer.from(' three') });
    expect(got).toBe('one two three');
    expect((await fake.commands.get(of, closed.id, never)).outcome).toEqual(exited(0));
  });

  test('a command that has not taken its input is ended', async () => {
    fake.guest.commands.failures.set('feed', new AppError('guest', 'lost'));
    await expect(start({ stdin: Buffer.from('x') })).rejects.toMatchObject({ code: 'guest' });
    expect(await fake.commands.list(of, never)).toEqual([]);
  });

  test('a lost answer is looked up: what runs is not run again', async () => {
    const { commands } = fake.guest;
    const inner = commands.start.bind(commands);
    commands.start = async (...given) => {
      await inner(...given);
      throw new AppError('guest', 'the link was lost', { isMaybeDone: true });
    };
    const { id, pid } = await start();
    expect(pid).toBe(command.pid);
    expect(await fake.commands.list(of, never)).toMatchObject([{ id }]);
    commands.start = async () => {
      throw new AppError('timeout', 'the guest did not answer', { isMaybeDone: true });
    };
    await expect(start()).rejects.toMatchObject({
      ...{ code: 'timeout', isMaybeDone: true },
      details: { exec_id: expect.stringMatching(/^[a-z0-9]{12}$/) },
    });
  });

  test('a command whose caller has gone before the answer is ended', async () => {
    const { commands } = fake.guest;
    const inner = commands.start.bind(commands);
    const gone = new AbortController();
    commands.start = async (...given) => {
      await inner(...given);
      gone.abort(new AppError('unavailable', 'the client has gone'));
      throw gone.signal.reason;
    };
    await expect(fake.commands.start(of, { argv: ['x'] }, gone.signal)).rejects.toMatchObject({
      code: 'unavailable',
    });
    expect(command.outcome).toEqual({ outcome: 'signalled', signal: 'KILL' });
  });

  test.each([
    ['another tenant’s machine', { tenant: 'other', machine: 'web' }, 'not_found'],
    ['a machine that does not run', of, 'conflict'],
  ])('%s is refused', async (_, place, code) => {
    if (code === 'conflict') await fake.machines.pause(tenant, 'web');
    await expect(fake.commands.start(place, { argv: ['x'] }, never)).rejects.toMatchObject({ code });
    await expect(fake.commands.list(place, never)).rejects.toMatchObject({ code });
    await expect(fake.commands.output(place, 'c', whole, never)).rejects.toMatchObject({ code });
    await expect(fake.commands.wait(place, 'c', 1, never)).rejects.toMatchObject({ code });
  });
});

describe('output', () => {
  test('from the beginning, from a cursor, of one stream; followed to the outcome', async () => {
    const { id } = await start();
    command.write('stdout', 'one');
    command.write('stderr', 'err');
    const following = outputOf(id);
    command.write('stdout', 'two');
    command.end(exited(3));
    expect(await following).toEqual({ stdout: 'onetwo', stderr: 'err', end: exited(3), cursor: 9 });
    expect(await outputOf(id, { from: 4 })).toMatchObject({ stdout: 'two', stderr: 'rr' });
    expect(await outputOf(id, { stream: 'stderr', isFollowed: false })).toEqual({
      ...{ stdout: '', stderr: 'err', end: exited(3), cursor: 9 },
    });
    const { events } = await fake.commands.output(of, id, { from: 4, isFollowed: true }, never);
    expect((await Array.fromAsync(events)).map((event) => ('offset' in event ? event.offset : null))).toEqual(
      [1, 3, null],
    );
    await expect(outputOf(id, { from: 10 })).rejects.toMatchObject({ code: 'invalid' });
  });

  test('without following it ends where the command is', async () => {
    const { id } = await start();
    expect(await outputOf(id, { isFollowed: false })).toMatchObject({ end: 'caught_up', cursor: -1 + 1 });
    command.write('stdout', 'one');
    expect(await outputOf(id, { isFollowed: false })).toEqual({
      ...{ stdout: 'one', stderr: '', end: 'caught_up', cursor: 3 },
    });
    expect(command.readers).toBe(0);
  });

  test('a cursor that has expired is an error that names the first kept byte', async () => {
    const { id } = await start();
    command.write('stdout', Buffer.alloc(3 * 1024 * 1024));
    const { firstOffset } = await fake.commands.get(of, id, never);
    expect(firstOffset).toBe(2 * 1024 * 1024);
    await expect(outputOf(id)).rejects.toMatchObject({
      ...{ name: 'AppError', code: 'conflict' },
      details: { from: 0, first_cursor: firstOffset },
    });
    expect(command.readers).toBe(0);
    command.end(exited(0));
    expect((await outputOf(id, { from: firstOffset })).stdout).toHaveLength(1024 * 1024);
  });

  test('a lost link is attached to again, without a byte missing or doubled', async () => {
    const { id } = await start();
    command.write('stdout', 'one ');
    const { events } = await fake.commands.output(of, id, whole, never);
    let text = '';
    for await (const event of events) {
      if (event.type === 'outcome') break;
      if ('data' in event) text += Buffer.from(event.data).toString();
      fake.guest.commands.loseLink();
      command.write('stdout', text.length < 8 ? 'two ' : 'end');
      if (text.length > 8) command.end(exited(0));
    }
    expect(text).toMatch(/^one two end/);
  });

  test('bytes that were lost while the link was lost are an error', async () => {
    const { id } = await start();
    command.write('stdout', 'x');
    const { events } = await fake.commands.output(of, id, whole, never);
    const iterator = events[Symbol.asyncIterator]();
    await iterator.next();
    fake.guest.commands.failures.set('attach', new AppError('guest', 'still lost'));
    fake.guest.commands.loseLink();
    await expect(iterator.next()).rejects.toMatchObject({ code: 'guest' });
    command.write('stdout', Buffer.alloc(2 * 1024 * 1024));
    await expect(outputOf(id, { from: 1 })).rejects.toMatchObject({ details: { from: 1 } });
  });

  test('the outcome of a command whose machine has stopped is unknown', async () => {
    fake.guest.onShutdown = ({ incarnation }) => fake.driver.machine(incarnation).powerOff();
    const { id } = await start();
    const following = outputOf(id);
    await fake.machines.stop(tenant, 'web');
    fake.guest.commands.loseLink();
    expect(await following).toMatchObject({ end: { outcome: 'unknown', reason: 'the machine has stopped' } });
    await fake.machines.start(tenant, 'web');
    await expect(fake.commands.get(of, id, never)).rejects.toMatchObject({ code: 'not_found' });
  });

  test('a machine has a limited number of readers, and one that leaves makes room', async () => {
    const { id } = await start();
    const open = () => fake.commands.output(of, id, whole, never);
    const all = await Promise.all(Array.from({ length: readersPerMachineMax }, open));
    await expect(open()).rejects.toMatchObject({ code: 'exhausted' });
    await expect(fake.commands.wait(of, id, 1000, never)).rejects.toMatchObject({ code: 'exhausted' });
    await all[0]?.events[Symbol.asyncIterator]().return?.();
    expect(command.readers).toBe(readersPerMachineMax - 1);
    await open();
    // Other calls have room of their own.
    await fake.commands.signal(of, id, 'TERM', never);
    expect(command.outcome).toEqual({ outcome: 'signalled', signal: 'TERM' });
  });

  test('so has it of other calls', async () => {
    const { commands } = fake.guest;
    const inner = commands.list.bind(commands);
    const { promise: isEnough, resolve: go } = Promise.withResolvers<void>();
    const { promise: areOpen, resolve: opened } = Promise.withResolvers<void>();
    let open = 0;
    commands.list = async (target) => {
      open += 1;
      if (open === callsPerMachineMax) opened();
      await isEnough;
      return inner(target);
    };
    const calls = Array.from({ length: callsPerMachineMax }, () => fake.commands.list(of, never));
    await areOpen;
    await expect(fake.commands.list(of, never)).rejects.toMatchObject({ code: 'exhausted' });
    go();
    await Promise.all(calls);
    expect(await fake.commands.list(of, never)).toEqual([]);
  });
});

describe('wait', () => {
  test('resolves at the end', async () => {
    const { id } = await start();
    const waiting = fake.commands.wait(of, id, 60_000, never);
    command.end(exited(2));
    expect(await waiting).toMatchObject({ id, outcome: exited(2) });
    expect(await fake.commands.wait(of, id, 60_000, never)).toMatchObject({ outcome: exited(2) });
  });

  test('has a deadline', async () => {
    const { id } = await start();
    await expect(fake.commands.wait(of, id, 1, never)).rejects.toMatchObject({ code: 'timeout' });
  });

  test('goes on after the link was lost', async () => {
    const { id } = await start();
    fake.guest.commands.failures.set('wait', new AppError('guest', 'lost'));
    const waiting = fake.commands.wait(of, id, 60_000, never);
    command.end(exited(0));
    expect(await waiting).toMatchObject({ outcome: exited(0) });
  });
});

describe('run', () => {
  const run = (request = {}, signal = never) =>
    fake.commands.run(of, { argv: ['x'], timeoutMs: 60_000, ...request }, signal);

  test('follows from the beginning; who leaves does not end the command', async () => {
    const { id, events } = await run();
    expect(command.request).toMatchObject({ id, timeoutMs: 60_000, bufferBytes: 256 * 1024 });
    command.write('stdout', 'x');
    for await (const event of events) {
      expect(event).toMatchObject({ type: 'stdout', offset: 0, cursor: 1 });
      break;
    }
    expect(command).toMatchObject({ outcome: null, readers: 0 });
  });

  test('a command that has not taken its input ends with its reader', async () => {
    const { commands } = fake.guest;
    const { promise: isFeeding, resolve } = Promise.withResolvers<void>();
    const feed: GuestCommands['feed'] = (_target, _id, _data, _isEnd, signal) => {
      resolve();
      const { promise, reject } = Promise.withResolvers<never>();
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      return promise;
    };
    Object.assign(commands, { feed });
    const { events } = await run({ stdin: Buffer.from('x') });
    await isFeeding;
    await events[Symbol.asyncIterator]().return?.();
    expect(await command.ended(never)).toEqual({ outcome: 'signalled', signal: 'KILL' });
  });

  test('a program that cannot be run gives what a shell says', async () => {
    const refusal = new AppError('invalid', 'x: not found', { details: { exitCode: 127 } });
    fake.guest.commands.failures.set('start', refusal);
    const { id, events } = await run();
    expect(id).toBeNull();
    expect(await collect(events)).toEqual({
      ...{ stdout: '', stderr: 'x: not found\n', end: exited(127), cursor: 13 },
    });
  });

  test('a guest agent that owns no commands runs one that ends with its reader', async () => {
    const old = new AppError('unsupported', 'the guest agent has no commands');
    const data = Buffer.from('out');
    fake.guest.events = [
      { type: 'stdout', data },
      { type: 'outcome', outcome: exited(0) },
    ] satisfies ExecEvent[];
    fake.guest.commands.failures.set('start', old);
    const { id, events } = await run({ stdin: Buffer.from('x') });
    expect(id).toBeNull();
    expect(await collect(events)).toEqual({ stdout: 'out', stderr: '', end: exited(0), cursor: 3 });
    for (const request of [{ isStdinOpen: true }, { terminal: { rows: 1, columns: 1 } }]) {
      fake.guest.commands.failures.set('start', old);
      await expect(run(request)).rejects.toMatchObject({ code: 'unsupported' });
    }
  });
});
