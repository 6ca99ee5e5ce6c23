/**
 * The tests that every engine driver must pass. A driver's own test calls `engineContract` with a fixture.
 * Each case makes its own incarnations, and the suite ends by checking that nothing is left.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { AppError } from '../core/errors.ts';
import {
  type ConsolePiece,
  type EngineDriver,
  type EngineHandle,
  type EnginePause,
  type ExitFacts,
  type LaunchSource,
  type LaunchSpec,
  pausedOnRequest,
} from '../core/ports/engine.ts';
import { abortable, deadline } from '../lib/abort.ts';
import { shortId } from '../lib/ids.ts';
import type { GuestBehaviour } from './testing/tiny-guest.ts';

/** The host in the specs of a fixture. */
export const testHostId = 'testhost';

/** What a driver's test provides. */
export interface EngineFixture {
  /** A new driver on the same host, as after a restart of the daemon. */
  makeDriver(): EngineDriver;
  /** A spec whose guest prints `consoleMarker` and then behaves as requested. */
  spec(incarnation: string, slot: number, behaviour: GuestBehaviour): LaunchSpec;
  readonly consoleMarker: string;
  /** A new, empty directory for saved memory. */
  directory(): Promise<string>;
  /** Kills the VMM without the driver's knowledge, like `kill -9`. */
  kill(handle: EngineHandle): void;
  /** Whether a launch has done all that it does before the guest may run. */
  isPrepared(incarnation: string): Promise<boolean>;
  /** Number of VMMs of this incarnation on the host. */
  countVmms(incarnation: string): Promise<number>;
  /** Processes, directories, sockets and cgroups that are still on the host, in readable form. */
  leftovers(): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** Three seconds on an idle core; half a minute was seen under TCG on a busy host. */
const exitTimeoutMs = 100_000;

/** A follower of a console, and its output so far. */
interface Following {
  readonly iterator: AsyncIterator<ConsolePiece>;
  text: string;
}

/** The text of a piece, which knows when it was seen: while this test ran. */
function textOf({ bytes, seen }: ConsolePiece): string {
  expect(seen.at(-1)?.end ?? 0).toBe(bytes.length);
  for (const { sinceMs, atMs } of seen) {
    expect(sinceMs).toBeGreaterThan(Date.now() - exitTimeoutMs * 2);
    expect(atMs).toBeLessThanOrEqual(Date.now());
  }
  return Buffer.from(bytes).toString();
}

/** Reads the console's output from here to its end. */
async function rest({ iterator }: Following): Promise<string> {
  let text = '';
  for (;;) {
    const { done, value } = await iterator.next();
    if (done) return text;
    text += textOf(value);
  }
}

export function engineContract(name: string, makeFixture: () => Promise<EngineFixture>): void {
  describe(`${name}: engine contract`, () => {
    let fixture: EngineFixture;
    let driver: EngineDriver;
    const made: string[] = [];
    const never = new AbortController().signal;

    const launch = async (behaviour: GuestBehaviour = 'idle', incarnation = shortId()) => {
      made.push(incarnation);
      return await driver.launch(fixture.spec(incarnation, made.length, behaviour), never);
    };
    const nextExit = async (handle: EngineHandle, by: EngineDriver = driver): Promise<ExitFacts> => {
      const { promise, resolve } = Promise.withResolvers<ExitFacts>();
      const unwatch = by.onExit(handle, resolve);
      const limit = deadline(exitTimeoutMs, () => new Error(`${handle.incarnation} did not end`));
      try {
        return await abortable(promise, limit.signal);
      } finally {
        limit.clear();
        unwatch();
      }
    };

    const follow = (
      { incarnation }: EngineHandle,
      by: typeof driver = driver,
      bytesMax = 4096,
      signal = never,
    ): Following => {
      const pieces = by.console?.follow(incarnation, bytesMax, signal);
      if (pieces === undefined) throw new Error('the driver has no console');
      return { iterator: pieces[Symbol.asyncIterator](), text: '' };
    };
    const untilMarked = async (following: Following) => {
      while (!following.text.includes(fixture.consoleMarker)) {
        const { done, value } = await following.iterator.next();
        if (done) throw new Error(`the console ended without the marker: ${following.text}`);
        following.text += textOf(value);
      }
    };

    beforeAll(async () => {
      fixture = await makeFixture();
      driver = fixture.makeDriver();
    });
    afterEach(async () => {
      for (const incarnation of made.splice(0)) await driver.destroy(incarnation, never);
      expect(await driver.list(never)).toEqual([]);
    });
    afterAll(async () => {
      await driver.close();
      const leftovers = await fixture.leftovers();
      await fixture.close();
      expect(leftovers).toEqual([]);
    });

    it('is available and names its accelerator', async () => {
      const probe = await driver.probe();
      expect(probe).toMatchObject({ isAvailable: true, missing: [] });
      expect(probe.accelerator).not.toBeNull();
      expect(await driver.probe()).toEqual(probe);
    });

    it('runs what it launched', async () => {
      const handle = await launch();
      expect(handle).toMatchObject({ engine: driver.kind, incarnation: made.at(-1) });
      expect(JSON.parse(JSON.stringify(handle))).toEqual(handle);
      expect(await driver.inspect(handle, never)).toEqual({ state: 'running' });
      const { incarnation } = handle;
      expect(await driver.list(never)).toEqual([{ incarnation, hostId: testHostId }]);
      expect(await driver.listLiving(never)).toEqual([handle.incarnation]);
    });

    it('launches an incarnation once, even for repeated and concurrent calls', async () => {
      const incarnation = shortId();
      const [first, second] = await Promise.all([launch('idle', incarnation), launch('idle', incarnation)]);
      expect(second).toEqual(first);
      expect(await launch('idle', incarnation)).toEqual(first);
      expect(await fixture.countVmms(incarnation)).toBe(1);
    });

    it('launches nothing when the signal has aborted', async () => {
      const incarnation = shortId();
      const reason = new Error('changed my mind');
      const launching = driver.launch(fixture.spec(incarnation, 1, 'idle'), AbortSignal.abort(reason));
      await expect(launching).rejects.toBe(reason);
      expect(await fixture.countVmms(incarnation)).toBe(0);
    });

    it('runs no guest before it may', async () => {
      const incarnation = shortId();
      made.push(incarnation);
      const gate = Promise.withResolvers<void>();
      const launching = driver.launch(fixture.spec(incarnation, 1, 'idle'), never, gate.promise);
      await expect.poll(() => fixture.isPrepared(incarnation), { timeout: exitTimeoutMs }).toBe(true);
      expect(await fixture.countVmms(incarnation)).toBe(0);
      gate.resolve();
      expect((await launching).incarnation).toBe(incarnation);
      expect(await fixture.countVmms(incarnation)).toBe(1);
    });

    it('leaves nothing of a launch that may not run, and says why', async () => {
      const incarnation = shortId();
      const refused = new AppError('unavailable', 'the rules are not in force');
      const gate = Promise.withResolvers<void>();
      const launching = driver.launch(fixture.spec(incarnation, 1, 'idle'), never, gate.promise);
      await expect.poll(() => fixture.isPrepared(incarnation), { timeout: exitTimeoutMs }).toBe(true);
      gate.reject(refused);
      await expect(launching).rejects.toBe(refused);
      expect(await fixture.countVmms(incarnation)).toBe(0);
      expect(await driver.list(never)).toEqual([]);
    });

    it('finds an incarnation whose handle was lost', async () => {
      const handle = await launch();
      expect(await driver.find(handle.incarnation, never)).toEqual(handle);
      expect(await driver.find(shortId(), never)).toBeNull();
    });

    it('runs two machines independently', async () => {
      const one = await launch();
      const two = await launch();
      await driver.stop(one, never);
      expect(await driver.inspect(one, never)).toMatchObject({ state: 'exited' });
      expect(await driver.inspect(two, never)).toEqual({ state: 'running' });
    });

    it('reports that the guest powered off, also to later listeners', async () => {
      const handle = await launch('poweroff');
      expect(await nextExit(handle)).toMatchObject({ kind: 'powered_off' });
      expect(await nextExit(handle)).toMatchObject({ kind: 'powered_off' });
      expect(await driver.inspect(handle, never)).toMatchObject({
        state: 'exited',
        facts: { kind: 'powered_off' },
      });
      expect(await fixture.countVmms(handle.incarnation)).toBe(0);
    });

    it.each(['reset', 'panic'] as const)('reports that the guest reset itself (%s)', async (behaviour) => {
      const handle = await launch(behaviour);
      expect(await nextExit(handle)).toMatchObject({ kind: 'reset' });
      expect(await fixture.countVmms(handle.incarnation)).toBe(0);
    });

    it('reports that the VMM was killed', async () => {
      const handle = await launch();
      const exit = nextExit(handle);
      fixture.kill(handle);
      expect(await exit).toMatchObject({ kind: 'died', signal: 'SIGKILL' });
      expect(await driver.inspect(handle, never)).toMatchObject({ state: 'exited', facts: { kind: 'died' } });
      expect(await driver.find(handle.incarnation, never)).toBeNull();
    });

    it('notifies each listener once, and none that has stopped listening', async () => {
      const handle = await launch();
      const heard: string[] = [];
      driver.onExit(handle, () => heard.push('first'));
      const unwatch = driver.onExit(handle, () => heard.push('never'));
      unwatch();
      const exit = nextExit(handle);
      await driver.stop(handle, never);
      expect(await driver.listLiving(never)).toEqual([]);
      expect(await exit).toMatchObject({ kind: 'stopped' });
      await driver.destroy(handle.incarnation, never);
      expect(heard).toEqual(['first']);
    });

    it('stops a VMM, and stopping again is safe', async () => {
      const handle = await launch();
      await driver.stop(handle, never);
      expect(await fixture.countVmms(handle.incarnation)).toBe(0);
      await driver.stop(handle, never);
      expect(await driver.inspect(handle, never)).toMatchObject({
        state: 'exited',
        facts: { kind: 'stopped' },
      });
    });

    it('destroys a running VMM, and destroying nothing succeeds', async () => {
      const handle = await launch();
      await driver.destroy(handle.incarnation, never);
      expect(await fixture.countVmms(handle.incarnation)).toBe(0);
      expect(await driver.inspect(handle, never)).toEqual({ state: 'absent' });
      expect(await driver.list(never)).toEqual([]);
      await driver.destroy(handle.incarnation, never);
      await driver.destroy(shortId(), never);
    });

    it('leaves machines running when it closes, and another driver adopts them', async () => {
      const handle = await launch();
      await driver.close();
      driver = fixture.makeDriver();
      expect(await driver.inspect(handle, never)).toEqual({ state: 'running' });
      expect(await driver.find(handle.incarnation, never)).toEqual(handle);
      const exit = nextExit(handle);
      fixture.kill(handle);
      expect(await exit).toMatchObject({ kind: 'died' });
    });

    it('detects an end that happened while there was no driver', async () => {
      const handle = await launch('poweroff');
      await driver.close();
      const witness = fixture.makeDriver();
      expect(await nextExit(handle, witness)).toMatchObject({ kind: 'powered_off' });
      await witness.close();
      driver = fixture.makeDriver();
      expect(await nextExit(handle)).toMatchObject({ kind: 'powered_off' });
    });

    it('keeps the console after the end', async () => {
      const handle = await launch('poweroff');
      await nextExit(handle);
      const console = await driver.console?.read(handle.incarnation, 4096, never);
      expect(console && textOf(console)).toContain(fixture.consoleMarker);
      const last = await driver.console?.read(handle.incarnation, 5, never);
      expect(last && textOf(last)).toHaveLength(5);
      const none = { bytes: expect.toSatisfy((bytes: Uint8Array) => bytes.length === 0), seen: [] };
      expect(await driver.console?.read(shortId(), 10, never)).toEqual(none);
    });

    it('streams the console to each follower at its own pace until the end', async () => {
      const handle = await launch();
      const first = follow(handle);
      const second = follow(handle);
      await untilMarked(second);
      await driver.stop(handle, never);
      const whole = `${second.text}${await rest(second)}`;
      expect(whole).toContain(fixture.consoleMarker);
      expect(await rest(first)).toBe(whole);
      expect(await rest(follow(handle))).toBe(whole);
      expect(await rest(follow(handle, driver, 5))).toBe(whole.slice(-5));
    });

    it('releases a follower that leaves, and all followers when it closes', async () => {
      const handle = await launch();
      const leaving = new AbortController();
      const left = follow(handle, driver, 4096, leaving.signal);
      await untilMarked(left);
      const reason = new Error('seen enough');
      leaving.abort(reason);
      await expect(rest(left)).rejects.toBe(reason);
      const stayed = follow(handle);
      await untilMarked(stayed);
      await driver.close();
      await rest(stayed);
      driver = fixture.makeDriver();
      const adopted = follow(handle);
      await untilMarked(adopted);
      fixture.kill(handle);
      await rest(adopted);
    });

    const itPauses = (title: string, body: (pausable: EnginePause) => Promise<void>) =>
      it(title, async ({ skip }) => {
        if (driver.pause === null) return skip('the engine cannot pause');
        // A test may continue with another driver.
        await body({
          pause: async (handle, signal) => await driver.pause?.pause(handle, signal),
          resume: async (handle, signal) => await driver.pause?.resume(handle, signal),
        });
      });
    const paused = { state: 'paused', reason: pausedOnRequest };

    itPauses('pauses and resumes repeatedly', async (pausable) => {
      const handle = await launch();
      for (let round = 0; round < 2; round++) {
        for (let time = 0; time < 2; time++) await pausable.pause(handle, never);
        expect(await driver.inspect(handle, never)).toEqual(paused);
        expect(await driver.find(handle.incarnation, never)).toEqual(handle);
        expect(await driver.listLiving(never)).toEqual([handle.incarnation]);
        for (let time = 0; time < 2; time++) await pausable.resume(handle, never);
        expect(await driver.inspect(handle, never)).toEqual({ state: 'running' });
      }
    });

    itPauses(
      'leaves a paused guest paused when it closes, and another driver resumes it',
      async (pausable) => {
        const handle = await launch();
        await pausable.pause(handle, never);
        await driver.close();
        driver = fixture.makeDriver();
        expect(await driver.inspect(handle, never)).toEqual(paused);
        await pausable.resume(handle, never);
        expect(await driver.inspect(handle, never)).toEqual({ state: 'running' });
      },
    );

    itPauses('stops a paused VMM, and reports when it was killed', async (pausable) => {
      const stopped = await launch();
      await pausable.pause(stopped, never);
      await driver.stop(stopped, never);
      expect(await fixture.countVmms(stopped.incarnation)).toBe(0);
      const killed = await launch();
      await pausable.pause(killed, never);
      const exit = nextExit(killed);
      fixture.kill(killed);
      expect(await exit).toMatchObject({ kind: 'died' });
    });

    itPauses('neither pauses nor resumes an ended VMM', async (pausable) => {
      const handle = await launch('poweroff');
      await nextExit(handle);
      await expect(pausable.pause(handle, never)).rejects.toMatchObject({ code: 'engine' });
      await expect(pausable.resume(handle, never)).rejects.toMatchObject({ code: 'engine' });
      expect(await driver.inspect(handle, never)).toMatchObject({
        state: 'exited',
        facts: { kind: 'powered_off' },
      });
    });

    it('refuses an unknown source before it makes anything', async () => {
      const spec = fixture.spec(shortId(), 1, 'idle');
      const source: LaunchSource = { kind: 'container', rootPath: '/nowhere', argv: ['true'] };
      await expect(driver.launch({ ...spec, source }, never)).rejects.toMatchObject({ code: 'unsupported' });
      expect(await driver.list(never)).toEqual([]);
    });

    const restored = async (directory: string, size: Partial<LaunchSpec> = {}) => {
      const incarnation = shortId();
      made.push(incarnation);
      const spec = { ...fixture.spec(incarnation, made.length, 'idle'), ...size };
      return await driver.launch({ ...spec, source: { kind: 'restore', directory } }, never);
    };

    it('saves a paused guest, and launches another incarnation from it, paused', async ({ skip }) => {
      if (driver.snapshots === null || driver.pause === null) return skip('the engine cannot save memory');
      const directory = await fixture.directory();
      const original = await launch();
      const following = follow(original);
      await untilMarked(following);
      await expect(driver.snapshots.save(original, directory, never)).rejects.toMatchObject({
        code: 'engine',
      });
      await expect(restored(directory)).rejects.toMatchObject({ code: 'not_found' });
      await driver.pause.pause(original, never);
      // Repeated, as after a crash.
      for (let time = 0; time < 2; time++) await driver.snapshots.save(original, directory, never);
      expect(await driver.inspect(original, never)).toEqual(paused);
      await driver.pause.resume(original, never);
      expect(await driver.inspect(original, never)).toEqual({ state: 'running' });
      await driver.stop(original, never);
      const copy = await restored(directory);
      expect(await driver.inspect(copy, never)).toEqual(paused);
      expect(await driver.find(copy.incarnation, never)).toEqual(copy);
      await driver.pause.resume(copy, never);
      expect(await driver.inspect(copy, never)).toEqual({ state: 'running' });
      await rest(following);
    });

    it('launches nothing from what another machine’s hardware has saved', async ({ skip }) => {
      if (driver.snapshots === null || driver.pause === null) return skip('the engine cannot save memory');
      const directory = await fixture.directory();
      const original = await launch();
      await driver.pause.pause(original, never);
      await driver.snapshots.save(original, directory, never);
      await expect(restored(directory, { memoryMib: 256 })).rejects.toMatchObject({ code: 'unsupported' });
      expect(await driver.listLiving(never)).toEqual([original.incarnation]);
    });

    it('rejects every call at once if its signal has aborted', async () => {
      const handle = await launch();
      const reason = new Error('given up');
      const gone = AbortSignal.abort(reason);
      const { incarnation } = handle;
      const calls = [
        () => driver.launch(fixture.spec(shortId(), 1, 'idle'), gone),
        () => driver.find(incarnation, gone),
        () => driver.inspect(handle, gone),
        () => driver.stop(handle, gone),
        () => driver.destroy(incarnation, gone),
        () => driver.list(gone),
        () => driver.listLiving(gone),
        () => driver.pause?.pause(handle, gone) ?? Promise.reject(reason),
        () => driver.pause?.resume(handle, gone) ?? Promise.reject(reason),
        () => driver.console?.read(incarnation, 1, gone) ?? Promise.reject(reason),
        () => driver.meter?.measure(handle, gone) ?? Promise.reject(reason),
        () => driver.snapshots?.save(handle, '/nowhere', gone) ?? Promise.reject(reason),
      ];
      for (const call of calls) await expect(call(), String(call)).rejects.toBe(reason);
      expect(await driver.inspect(handle, never)).toEqual({ state: 'running' });
    });

    it('measures what a living incarnation has used', async ({ skip }) => {
      if (driver.meter === null) return skip('the engine measures nothing');
      const handle = await launch();
      const following = follow(handle);
      // A guest that has printed to its console has run and uses memory.
      await untilMarked(following);
      const usage = await driver.meter.measure(handle, never);
      const { processorTimeMs, memoryBytes, diskReadBytes, diskReads } = usage;
      expect(processorTimeMs).toBeGreaterThan(0);
      expect(memoryBytes).toBeGreaterThan(1024 * 1024);
      expect(diskReadBytes).toBeGreaterThanOrEqual(0);
      expect(diskReads).toBeGreaterThanOrEqual(0);
      const later = await driver.meter.measure(handle, never);
      expect(later.processorTimeMs).toBeGreaterThanOrEqual(processorTimeMs ?? Number.POSITIVE_INFINITY);
      await driver.stop(handle, never);
      await rest(following);
      await expect(driver.meter.measure(handle, never)).rejects.toMatchObject({ code: 'engine' });
    });

    it('follows the empty console of an incarnation that never ran to its end', async () => {
      const nobody = { incarnation: shortId() } as EngineHandle;
      expect(await rest(follow(nobody))).toBe('');
    });
  });
}
