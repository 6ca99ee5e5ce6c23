import type { Duplex } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ExecEvent, ExecRequest, ExecSession, GuestTarget } from '../core/ports/guest.ts';
import { GuestClient } from './client.ts';
import type { FakeProgram } from './testing/fake-exec.ts';
import { FakeGuest } from './testing/fake-guest.ts';
import type { GuestTimings } from './timings.ts';
import { MemoryTransport } from './transports/memory.ts';

const secret = Buffer.alloc(32, 7);
const target: GuestTarget = {
  machineId: 'm1',
  incarnation: 'i1',
  address: { transport: 'memory', key: 'm1' },
};
const never = new AbortController().signal;
const timings: Partial<GuestTimings> = { backoffMs: 1, backoffMaxMs: 5, linkWaitMs: 5_000, callMs: 5_000 };

let memory: MemoryTransport;
let client: GuestClient;
let guest: FakeGuest;

function setUp(options: { program?: FakeProgram; timings?: Partial<GuestTimings> } = {}): void {
  guest = new FakeGuest(options.program === undefined ? {} : { program: options.program });
  client = new GuestClient({
    secret,
    transports: { memory: memory.dial },
    timings: { ...timings, ...options.timings },
  });
}

const listen = () => memory.listen('m1', (end: Duplex) => void guest.accept(end));

beforeEach(() => {
  memory = new MemoryTransport();
});
afterEach(() => client.close());

async function collect(session: ExecSession): Promise<{ stdout: string; stderr: string; last: ExecEvent[] }> {
  const output = { stdout: '', stderr: '' };
  const last: ExecEvent[] = [];
  for await (const event of session) {
    if (event.type === 'outcome') last.push(event);
    else output[event.type] += Buffer.from(event.data).toString();
  }
  return { ...output, last };
}

const exec = (request: Partial<ExecRequest> & Pick<ExecRequest, 'argv'>, signal = never) =>
  client.exec(target, { timeoutMs: 30_000, ...request }, signal);

const exited = (exitCode: number) => [{ type: 'outcome', outcome: { outcome: 'exited', exitCode } }];
const unknown = (reason: unknown) => [{ type: 'outcome', outcome: { outcome: 'unknown', reason } }];

describe('the link', () => {
  test('waits for a guest that is not listening yet', async () => {
    setUp();
    const ready = client.waitReady(target, never);
    listen();
    expect(await ready).toEqual({
      agentVersion: 'fake',
      protocolVersion: 2,
      features: ['rekey', 'resync', 'adopt'],
      kernelRelease: 'fake',
      incarnation: null,
    });
    await client.identify(target, { hostname: 'web', machineId: '0'.repeat(32) }, never);
    expect([guest.hostname, guest.machineId, guest.syncs.length]).toEqual(['web', '0'.repeat(32), 1]);
    expect((await client.waitReady(target, never)).incarnation).toBe('i1');
  });

  test('stops waiting when aborted', async () => {
    setUp();
    const stop = new AbortController();
    const ready = client.waitReady(target, stop.signal);
    stop.abort();
    await expect(ready).rejects.toMatchObject({ code: 'timeout' });
  });

  test('redials when it was cut', async () => {
    setUp();
    listen();
    await client.waitReady(target, never);
    for (let round = 0; round < 10; round += 1) {
      guest.cut();
      expect((await collect(await exec({ argv: ['echo', String(round)] }))).stdout).toBe(`${round}\n`);
    }
  });

  test('keeps the calls of a paused guest, and ends those of a silent running one', async () => {
    const program: FakeProgram = async ({ stdin, stdout }) => {
      await stdout('begun\n');
      for await (const chunk of stdin) await stdout(chunk);
      return 0;
    };
    setUp({ program, timings: { pingIntervalMs: 10, pingDeadlineMs: 50 } });
    const frozen: Duplex[] = [];
    const other = { ...target, incarnation: 'i2', address: { transport: 'memory', key: 'm2' } } as const;
    const otherGuest = new FakeGuest({ program });
    memory.listen('m1', (end) => {
      frozen.push(end);
      void guest.accept(end);
    });
    memory.listen('m2', (end) => {
      frozen.push(end);
      void otherGuest.accept(end);
    });
    const input = Promise.withResolvers<Uint8Array>();
    const stdin = async function* () {
      yield await input.promise;
    };
    const begin = async (at: GuestTarget) => {
      const session = await client.exec(at, { argv: ['any'], timeoutMs: 30_000, stdin: stdin() }, never);
      const events = session[Symbol.asyncIterator]();
      await events.next();
      return events;
    };
    const quiet = await begin(target);
    const loud = await begin(other);
    client.setQuiet('i1', true);
    for (const end of frozen) end.pause();
    expect(await loud.next()).toMatchObject({ value: { outcome: { outcome: 'unknown' } } });
    frozen[0]?.resume();
    client.setQuiet('i1', false);
    input.resolve(Buffer.from('on'));
    expect(await quiet.next()).toMatchObject({ value: { type: 'stdout', data: Buffer.from('on') } });
    expect(await quiet.next()).toMatchObject({ value: { outcome: { outcome: 'exited', exitCode: 0 } } });
    expect(frozen).toHaveLength(2);
    otherGuest.cut();
  });

  test('starts no session with a paused guest, and one as soon as it is resumed', async () => {
    setUp();
    let dials = 0;
    const dialled = Promise.withResolvers<void>();
    memory.listen('m1', (end) => {
      dials += 1;
      if (dials > 1) dialled.resolve();
      void guest.accept(end);
    });
    await client.waitReady(target, never);
    client.setQuiet('i1', true);
    guest.cut();
    const ready = client.waitReady(target, never);
    for (let turn = 0; turn < 100; turn++) await setImmediate();
    expect(dials).toBe(1);
    client.setQuiet('i1', false);
    await dialled.promise;
    expect(await ready).toMatchObject({ agentVersion: 'fake' });
    client.setQuiet('i1', true);
    await client.release('i1');
  });

  test('redials when the guest answers the preamble too late', async () => {
    setUp({ timings: { preambleMs: 5 } });
    let dials = 0;
    memory.listen('m1', (end) => {
      dials += 1;
      if (dials > 2) void guest.accept(end);
    });
    await client.waitReady(target, never);
    expect(dials).toBe(3);
  });

  test('a call without a link fails in time, with the reason', async () => {
    setUp({ timings: { linkWaitMs: 20 } });
    await expect(exec({ argv: ['true'] })).rejects.toMatchObject({
      code: 'timeout',
      message: expect.stringMatching(/not up within 20 ms: nothing listens/),
    });
  });

  test('refuses a guest that reports another incarnation', async () => {
    setUp();
    guest = new FakeGuest({ incarnation: 'other' });
    listen();
    await expect(client.waitReady(target, never)).rejects.toThrow('another incarnation');
  });

  test('release ends open calls, forgets the announcement, and may be repeated', async () => {
    setUp();
    listen();
    const session = await exec({ argv: ['sleep', '1000'] });
    const ended = collect(session);
    await guest.announce('reboot');
    expect(client.announcement('i1')).toBe('reboot');
    guest.cut();
    expect(client.announcement('i1')).toBe('reboot');
    await client.release('i1');
    await client.release('i1');
    expect(client.announcement('i1')).toBeNull();
    expect((await ended).last).toEqual(unknown(expect.any(String)));
  });

  test('shutdown is acknowledged and then announced', async () => {
    const off = Promise.withResolvers<string>();
    setUp();
    guest = new FakeGuest({ onShutdown: off.resolve });
    listen();
    await client.shutdown(target, 1000, never);
    expect(await off.promise).toBe('poweroff');
    expect(client.announcement('i1')).toBe('poweroff');
  });

  test('refuses an address without a transport', async () => {
    setUp();
    const address = { transport: 'virtio-serial', path: '/nowhere' } as const;
    await expect(client.waitReady({ ...target, address }, never)).rejects.toMatchObject({ code: 'invalid' });
  });
});

describe('a copy of another guest', () => {
  const copy: GuestTarget = { ...target, incarnation: 'i2' };
  const identity = { hostname: 'copy', machineId: '1'.repeat(32) };

  test('is reached as its own incarnation after it got its own token', async () => {
    setUp();
    listen();
    await client.waitReady(target, never);
    await client.identify(target, identity, never);
    await client.release('i1');
    await client.rekey(copy, 'i1', never);
    expect(await client.waitReady(copy, never)).toMatchObject({ incarnation: 'i2' });
    await client.identify(copy, identity, never);
    expect(guest.hostname).toBe('copy');
    // The original's token is no longer accepted.
    await client.release('i2');
    const late = AbortSignal.timeout(200);
    await expect(client.waitReady(target, late)).rejects.toMatchObject({ code: 'timeout' });
  });

  test('may get its token twice, for example when the first answer was lost', async () => {
    setUp({ timings: { preambleMs: 50 } });
    listen();
    await client.waitReady(target, never);
    await client.release('i1');
    await client.rekey(copy, 'i1', never);
    await client.rekey(copy, 'i1', never);
    expect(await client.waitReady(copy, never)).toMatchObject({ incarnation: 'i2' });
    // An operation whose result could not be written is taken up by the same daemon, which has a link by then.
    await client.rekey(copy, 'i1', never);
    expect(await client.waitReady(copy, never)).toMatchObject({ incarnation: 'i2' });
  });

  test('becomes another machine, and says what it could not change', async () => {
    setUp();
    listen();
    await client.waitReady(target, never);
    await client.identify(target, identity, never);
    await client.release('i1');
    const fork = { hostname: 'fork', machineId: '2'.repeat(32), mac: '02:66:0a:4d:00:09' };
    guest.adoptWarnings = ['write /etc/hostname: read-only\u001b[31m'];
    await client.rekey(copy, 'i1', never);
    const synced = guest.syncs.length;
    expect(await client.adopt(copy, fork, never)).toEqual(['write /etc/hostname: read-only [31m']);
    expect([guest.incarnation, guest.hostname, guest.machineId, guest.mac]).toEqual([
      'i2',
      'fork',
      '2'.repeat(32),
      '02:66:0a:4d:00:09',
    ]);
    // The time is sent again, because making a guest another machine may take long.
    expect(guest.syncs.length).toBe(synced + 2);
    guest.adoptWarnings = [];
    expect(await client.adopt(copy, { ...fork, mac: null }, never)).toEqual([]);
    expect(guest.mac).toBeNull();
  });
});

test('a resumed guest gets the time and keeps its names', async () => {
  setUp();
  listen();
  await client.waitReady(target, never);
  await client.resync(target, { hostname: 'other', machineId: '2'.repeat(32) }, never);
  expect([guest.hostname, guest.machineId, guest.syncs.length]).toEqual([null, null, 1]);
});

test('a connected guest gets the time periodically, but not while paused', async () => {
  setUp({ timings: { resyncIntervalMs: 5 } });
  const told = () => guest.syncs.length;
  listen();
  await client.waitReady(target, never);
  while (told() < 3) await setImmediate();
  client.setQuiet('i1', true);
  // A call that was already sent may still arrive.
  await client.waitReady(target, never);
  const before = told();
  for (let turn = 0; turn < 100; turn++) await setImmediate();
  await client.waitReady(target, never);
  expect(told()).toBe(before);
});

describe('exec', () => {
  test('yields output in order and the outcome last', async () => {
    setUp({
      program: async ({ stdout, stderr }) => {
        await stdout('a');
        await stderr('b');
        await stdout('c');
        return 7;
      },
    });
    listen();
    const events: string[] = [];
    for await (const event of await exec({ argv: ['x'] }))
      events.push(event.type === 'outcome' ? JSON.stringify(event.outcome) : `${event.type} ${event.data}`);
    expect(events).toEqual(['stdout a', 'stderr b', 'stdout c', '{"outcome":"exited","exitCode":7}']);
  });

  test('sends standard input and its end', async () => {
    setUp();
    listen();
    async function* source() {
      yield Buffer.from('one ');
      yield Buffer.alloc(200_000, 'x');
    }
    const { stdout, last } = await collect(await exec({ argv: ['cat'], stdin: source() }));
    expect(stdout).toBe(`one ${'x'.repeat(200_000)}`);
    expect(last).toEqual(exited(0));
  });

  test('a command whose input fails is killed, its outcome unknown', async () => {
    setUp();
    listen();
    async function* source() {
      yield Buffer.from('half');
      throw new Error('disk on fire');
    }
    const { last } = await collect(await exec({ argv: ['cat'], stdin: source() }));
    expect(last).toEqual(unknown('standard input failed: disk on fire'));
  });

  test('closes an input that the command did not read', async () => {
    setUp();
    listen();
    const closed = Promise.withResolvers<void>();
    const source: AsyncIterable<Uint8Array> = {
      [Symbol.asyncIterator]: () => ({
        next: () => Promise.withResolvers<IteratorResult<Uint8Array>>().promise,
        return: async () => {
          closed.resolve();
          return { done: true, value: undefined };
        },
      }),
    };
    expect((await collect(await exec({ argv: ['true'], stdin: source }))).last).toEqual(exited(0));
    await closed.promise;
  });

  test('passes signals on', async () => {
    setUp();
    listen();
    const session = await exec({ argv: ['sleep', '1000'] });
    expect(() => session.kill('KILL; rm')).toThrow(expect.objectContaining({ code: 'invalid' }));
    session.kill('TERM');
    expect((await collect(session)).last).toEqual([
      { type: 'outcome', outcome: { outcome: 'signalled', signal: 'TERM' } },
    ]);
  });

  test('reports timed_out when the guest does', async () => {
    setUp();
    listen();
    const { last } = await collect(await exec({ argv: ['sleep', '1000'], timeoutMs: 10 }));
    expect(last).toEqual([{ type: 'outcome', outcome: { outcome: 'timed_out' } }]);
  });

  test('never invents an outcome: the link is lost', async () => {
    setUp();
    listen();
    const session = await exec({ argv: ['sleep', '1000'] });
    guest.cut();
    expect((await collect(session)).last).toEqual(unknown('the guest link was lost'));
  });

  test('never invents an outcome: the guest does not report one', async () => {
    setUp({ timings: { execMarginMs: 20 }, program: ignoring });
    listen();
    const { last } = await collect(await exec({ argv: ['x'], timeoutMs: 1 }));
    expect(last).toEqual(unknown(expect.stringContaining('did not say in time')));
  });

  test('never waits for ever: the guest drips output past its limit', async () => {
    const drips: FakeProgram = async ({ stdout }) => {
      for (;;) {
        await stdout('.');
        await setImmediate();
      }
    };
    setUp({ timings: { execMarginMs: 20, execUnreadMs: 40 }, program: drips });
    listen();
    const { last } = await collect(await exec({ argv: ['x'], timeoutMs: 1 }));
    expect(last).toEqual(unknown(expect.any(String)));
  });

  test('never waits for ever: nobody reads', async () => {
    const killed = Promise.withResolvers<void>();
    const watched: FakeProgram = (process) => {
      process.signalled.addEventListener('abort', () => killed.resolve());
      return ignoring(process);
    };
    setUp({ timings: { execMarginMs: 1, execUnreadMs: 10 }, program: watched });
    listen();
    await exec({ argv: ['x'], timeoutMs: 1 });
    await killed.promise;
  });

  test.each(['return', 'abort'] as const)('%s kills the command', async (how) => {
    const killed = Promise.withResolvers<unknown>();
    setUp({
      program: async ({ signalled, stdout }) => {
        signalled.addEventListener('abort', () => killed.resolve(signalled.reason));
        for (;;) await stdout('y\n');
      },
    });
    listen();
    const stop = new AbortController();
    const last: ExecEvent[] = [];
    for await (const event of await exec({ argv: ['yes'] }, stop.signal)) {
      if (event.type === 'outcome') last.push(event);
      else if (how === 'return') break;
      else stop.abort();
    }
    expect(await killed.promise).toBe('KILL');
    expect(last).toEqual(how === 'return' ? [] : unknown('the command was cancelled'));
  });

  test('a slow reader slows only its own command', async () => {
    let sent = 0;
    setUp({
      program: async ({ argv, stdout }) => {
        if (argv[0] !== 'flood') return 0;
        for (; sent < 64; sent += 1) await stdout(Buffer.alloc(65_536));
        return 0;
      },
    });
    listen();
    const slow = await exec({ argv: ['flood'] });
    for (let round = 0; round < 20; round += 1)
      expect((await collect(await exec({ argv: ['true'] }))).last).toEqual(exited(0));
    expect(sent).toBeLessThan(32);
    const { stdout, last } = await collect(slow);
    expect(stdout).toHaveLength(64 * 65_536);
    expect(last).toEqual(exited(0));
  });

  test.each([
    ['no program', { argv: [] }],
    ['an empty program', { argv: [''] }],
    ['a NUL byte', { argv: ['a\0b'] }],
    ['a bad variable', { argv: ['a'], env: { 'A=B': 'c' } }],
    ['no time', { argv: ['a'], timeoutMs: 0 }],
    ['more than a kernel takes', { argv: Array(64).fill('a'.repeat(100_000)) }],
    ['an argument longer than a kernel takes', { argv: ['a', 'a'.repeat(131_072)] }],
    ['half a surrogate pair in an argument', { argv: ['a', '\ud800'] }],
    ['half a surrogate pair in a variable', { argv: ['a'], env: { A: 'b\udc00' } }],
    ['half a surrogate pair in a name', { argv: ['a'], env: { '\ud800': 'b' } }],
    ['half a surrogate pair in a directory', { argv: ['a'], cwd: '/\ud800' }],
    ['half a surrogate pair in a user', { argv: ['a'], user: '\udfff' }],
  ])('refuses %s', async (_what, request) => {
    setUp();
    await expect(exec(request)).rejects.toMatchObject({ code: 'invalid' });
  });
});

/** A program that ignores time limits and signals. */
const ignoring: FakeProgram = () => Promise.withResolvers<number>().promise;
