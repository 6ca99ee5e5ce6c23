/** Ends of lifetimes that do not delete, and lifetimes that stand still: the real store, a fake clock, restarts of the daemon. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type FakeFlotilla, type FakeOptions, startFake } from '../../../test/support/fake.ts';
import type { Core } from '../core.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import type { Machine } from './machine.ts';
import type { CreateRequest } from './spec.ts';

const tenant = 'default';
const minute = 60_000;
const { signal } = new AbortController();

let clock: FakeClock;
let fake: FakeFlotilla;
beforeEach(() => {
  clock = new FakeClock();
});
afterEach(() => fake.close());

/** A running machine whose lifetime is ten minutes, counted from now. */
async function run(request: Partial<CreateRequest>, options: FakeOptions = {}): Promise<void> {
  fake = await startFake({ clock, ...options });
  const asked = { name: 'web', vcpuCount: 1, memoryMib: 128, image: 'busybox', lifetimeSeconds: 600 };
  await fake.machines.create(tenant, { ...asked, ...request });
  await fake.machines.start(tenant, 'web');
}

const web = (core: Core = fake) => core.machines.get(tenant, 'web');
const fromNow = (ms: number) => new Date(clock.now().getTime() + ms).toISOString();
const counting = (ms: number) => ({ expiresAt: fromNow(ms), remainingMs: null });
const still = (ms: number) => ({ expiresAt: null, remainingMs: ms });
const over = { expiresAt: null, remainingMs: null };

/** Advances time by `ms` and runs the keeper's due work. */
async function pass(ms: number, core: Core = fake): Promise<void> {
  clock.advance(ms);
  await core.keeper.look();
  await core.keeper.settled();
}

/** Ends the VMM of the machine, and resolves when the exit is recorded. */
async function end(how: 'die' | 'powerOff'): Promise<void> {
  const { incarnation } = await web();
  fake.driver.machine(incarnation ?? '')[how]();
  await fake.machines.wait(tenant, 'web', { states: ['stopped', 'failed'], timeoutMs: 5_000 }, signal);
}

const goOn: Readonly<Record<string, () => Promise<unknown>>> = {
  paused: () => fake.machines.resume(tenant, 'web'),
  suspended: () => fake.machines.start(tenant, 'web'),
  stopped: () => fake.machines.start(tenant, 'web'),
};

describe('the end of a lifetime', () => {
  test.each([
    ['pause', 'paused'],
    ['suspend', 'suspended'],
    ['stop', 'stopped'],
  ] as const)(
    'can %s the machine: nothing is due then, and a whole lifetime begins when it goes on',
    async (onExpire, state) => {
      await run({ onExpire, restart: 'always' });
      await pass(10 * minute - 1);
      expect(await web()).toMatchObject({ state: 'running', ...counting(1) });
      await pass(1);
      expect(await web()).toMatchObject({ state, ...over, restartAt: null, failure: null });
      await pass(24 * 60 * minute);
      expect(await web()).toMatchObject({ state, ...over });
      await goOn[state]?.();
      expect(await web()).toMatchObject({ state: 'running', ...counting(10 * minute) });
      await pass(10 * minute);
      expect((await web()).state).toBe(state);
    },
  );

  test('comes also while no daemon runs', async () => {
    await run({ onExpire: 'suspend' });
    clock.advance(60 * minute);
    const next = await fake.recovered();
    await pass(0, next);
    expect(await web(next)).toMatchObject({ state: 'suspended', ...over });
  });

  test.each(['pause', 'suspend', 'stop'] as const)(
    'leaves a stopped machine as it is: %s',
    async (onExpire) => {
      await run({ onExpire });
      await fake.machines.stop(tenant, 'web');
      expect(await web()).toMatchObject(counting(10 * minute));
      await pass(10 * minute);
      expect(await web()).toMatchObject({ state: 'stopped', ...over });
      const { operations } = await fake.operations.list(tenant, { limit: 9, offset: 0 });
      expect(operations).toHaveLength(3);
    },
  );

  test('that came unnoticed does not count against a machine that is started then', async () => {
    await run({ onExpire: 'stop' });
    await fake.machines.stop(tenant, 'web');
    clock.advance(11 * minute);
    await fake.machines.start(tenant, 'web');
    await pass(0);
    expect(await web()).toMatchObject({ state: 'running', ...counting(10 * minute) });
  });

  test('cancels the restart that a stopped machine waits for', async () => {
    await run({ onExpire: 'pause', restart: 'always' });
    clock.advance(10 * minute - 500);
    await end('powerOff');
    expect(await web()).toMatchObject({ state: 'stopped', restartAt: fromNow(1_000) });
    await pass(500);
    expect(await web()).toMatchObject({ state: 'stopped', desired: 'stopped', restartAt: null, ...over });
  });

  test.each(['pause', 'suspend', 'stop'] as const)(
    'stops a failed machine, which is not restarted then: %s',
    async (onExpire) => {
      await run({ onExpire, restart: 'on-failure' });
      clock.advance(10 * minute - 500);
      await end('die');
      await pass(500);
      expect(await web()).toMatchObject({ state: 'stopped', desired: 'stopped', restartAt: null, ...over });
      await pass(60 * minute);
      expect((await web()).state).toBe('stopped');
    },
  );

  test.each([
    ['pause', 'pause', 'paused'],
    ['pause', 'suspend', 'suspended'],
    ['pause', 'stop', 'stopped'],
    ['suspend', 'pause', 'suspended'],
    ['suspend', 'suspend', 'suspended'],
    // Its memory is not thrown away.
    ['suspend', 'stop', 'suspended'],
  ] as const)(
    'that counts always finds a machine after %s: %s leaves it %s',
    async (before, onExpire, state) => {
      await run({ onExpire, lifetimeCounts: 'always' });
      await fake.machines[before](tenant, 'web');
      expect(await web()).toMatchObject(counting(10 * minute));
      await pass(10 * minute);
      expect(await web()).toMatchObject({ state, ...over });
    },
  );

  test('that counts always deletes a suspended machine', async () => {
    await run({ lifetimeCounts: 'always' });
    await fake.machines.suspend(tenant, 'web');
    await pass(10 * minute);
    await expect(web()).rejects.toMatchObject({ code: 'not_found' });
  });

  test('waits for an operation that is under way, and does not cancel it', async () => {
    await run({ onExpire: 'stop' });
    await fake.machines.stop(tenant, 'web');
    const ready = Promise.withResolvers<void>();
    const { onReady } = fake.guest;
    fake.guest.onReady = async (...args) => {
      await ready.promise;
      return onReady?.(...args);
    };
    const starting = fake.machines.start(tenant, 'web');
    await fake.machines.wait(tenant, 'web', { states: ['starting'], timeoutMs: 5_000 }, signal);
    await pass(10 * minute);
    expect((await web()).state).toBe('starting');
    ready.resolve();
    await starting;
    await pass(0);
    expect(await web()).toMatchObject({ state: 'stopped', ...over });
  });

  test('whose suspend fails leaves the machine running, and is tried again after a minute', async () => {
    await run({ onExpire: 'suspend' });
    fake.driver.failNext('save');
    await pass(10 * minute);
    expect(await web()).toMatchObject({ state: 'running', ...counting(0) });
    await pass(minute - 1);
    expect((await web()).state).toBe('running');
    await pass(1);
    expect(await web()).toMatchObject({ state: 'suspended', ...over });
  });

  test('that was postponed, or is to delete now, between the check and the stop changes nothing', async () => {
    await run({ onExpire: 'stop' });
    clock.advance(10 * minute);
    const due = fake.store.machines.due.bind(fake.store.machines);
    for (const change of [{ onExpire: 'delete' }, { lifetimeSeconds: 60 }] as const) {
      await fake.machines.update(tenant, 'web', { onExpire: 'stop' });
      fake.store.machines.due = async (...args) => {
        const found = await due(...args);
        await fake.machines.update(tenant, 'web', change);
        return found;
      };
      await pass(0);
      expect((await web()).state).toBe('running');
      fake.store.machines.due = due;
      await pass(0);
    }
    expect(await web()).toMatchObject({ state: 'running', ...counting(minute) });
  });

  test('that the engine cannot carry out is refused', async () => {
    await run({}, { without: ['pause'] });
    for (const onExpire of ['pause', 'suspend'] as const) {
      const refusal = { code: 'unsupported', message: `the engine 'qemu' cannot ${onExpire} machines` };
      await expect(fake.machines.update(tenant, 'web', { onExpire })).rejects.toMatchObject(refusal);
      const asked = { name: 'other', vcpuCount: 1, memoryMib: 128, image: 'busybox', onExpire };
      await expect(fake.machines.create(tenant, asked)).rejects.toMatchObject(refusal);
    }
  });

  test('a daemon killed in the middle of it: the next one finishes it', async () => {
    await run({ onExpire: 'suspend' });
    const save = fake.driver.snapshots?.save;
    const saving = Promise.withResolvers<void>();
    Object.assign(fake.driver.snapshots ?? {}, {
      save: () => {
        saving.resolve();
        return new Promise(() => undefined);
      },
    });
    clock.advance(10 * minute);
    await fake.keeper.look();
    await saving.promise;
    expect((await web()).state).toBe('suspending');
    Object.assign(fake.driver.snapshots ?? {}, { save });
    const next = await fake.recovered();
    expect(await web(next)).toMatchObject({ state: 'suspended', ...over });
  });

  test('a request wakes a machine that was put to rest, and begins a lifetime', async () => {
    await run({ onExpire: 'pause' });
    await pass(10 * minute);
    const awake = await fake.waking.ensureAwake({ tenant, machine: 'web', timeoutMs: 5_000, signal });
    awake.release();
    expect(await web()).toMatchObject({ state: 'running', ...counting(10 * minute) });
  });
});

describe('a lifetime', () => {
  const ways: Readonly<Record<string, readonly [rest: () => Promise<unknown>, state: Machine['state']]>> = {
    'a pause': [() => fake.machines.pause(tenant, 'web'), 'paused'],
    'a suspend': [() => fake.machines.suspend(tenant, 'web'), 'suspended'],
    'a suspend of a paused machine': [
      async () => {
        await fake.machines.pause(tenant, 'web');
        await fake.machines.suspend(tenant, 'web');
      },
      'suspended',
    ],
    'the idle policy': [
      async () => {
        await fake.machines.update(tenant, 'web', { idle: { afterSeconds: 60, action: 'suspend' } });
        const { id, incarnation } = await web();
        await fake.store.machines.noteIdleAt(id, incarnation ?? '', clock.now().toISOString());
        await pass(0);
      },
      'suspended',
    ],
  };

  test.each(Object.entries(ways))(
    'stands still after %s, and goes on with the machine',
    async (_, [rest, state]) => {
      await run({});
      clock.advance(4 * minute);
      await rest();
      expect(await web()).toMatchObject({ state, ...still(6 * minute) });
      await pass(24 * 60 * minute);
      const next = await fake.recovered();
      await pass(0, next);
      expect(await web(next)).toMatchObject({ state, ...still(6 * minute) });
      const awake = await next.waking.ensureAwake({ tenant, machine: 'web', timeoutMs: 5_000, signal });
      awake.release();
      expect(await web(next)).toMatchObject({ state: 'running', ...counting(6 * minute) });
      await pass(6 * minute, next);
      await expect(web(next)).rejects.toMatchObject({ code: 'not_found' });
    },
  );

  test('goes on when a paused machine is stopped or its VMM dies, and its memory is given up', async () => {
    await run({});
    clock.advance(4 * minute);
    await fake.machines.pause(tenant, 'web');
    clock.advance(60 * minute);
    await fake.machines.stop(tenant, 'web');
    expect(await web()).toMatchObject({ state: 'stopped', ...counting(6 * minute) });
    await fake.machines.start(tenant, 'web');
    await fake.machines.pause(tenant, 'web');
    clock.advance(60 * minute);
    await end('die');
    expect(await web()).toMatchObject({ state: 'failed', ...counting(6 * minute) });
    await fake.machines.start(tenant, 'web');
    await fake.machines.suspend(tenant, 'web');
    clock.advance(60 * minute);
    await fake.machines.stop(tenant, 'web', { force: true });
    expect(await web()).toMatchObject({ state: 'stopped', ...counting(6 * minute) });
  });

  test('goes on when a paused machine is stopped by a reboot of the host', async () => {
    await run({});
    clock.advance(4 * minute);
    await fake.machines.pause(tenant, 'web');
    clock.advance(60 * minute);
    fake.driver.host.machines.clear();
    const next = await fake.recovered({ hasHostRebooted: true });
    expect(await web(next)).toMatchObject({ state: 'stopped', ...counting(6 * minute) });
  });

  test('stands still after a restore that failed', async () => {
    await run({});
    clock.advance(4 * minute);
    await fake.machines.suspend(tenant, 'web');
    clock.advance(60 * minute);
    fake.driver.failNext('launch');
    await expect(fake.machines.start(tenant, 'web')).rejects.toThrow();
    expect(await web()).toMatchObject({ state: 'suspended', ...still(6 * minute) });
  });

  test('that ends during a pause is not prolonged by it', async () => {
    await run({});
    const paused = Promise.withResolvers<void>();
    const { pause } = fake.driver;
    if (pause === null) throw new Error('the fake engine pauses');
    const original = pause.pause.bind(pause);
    vi.spyOn(pause, 'pause').mockImplementation(async (...args) => {
      await paused.promise;
      return original(...args);
    });
    const pausing = fake.machines.pause(tenant, 'web');
    await fake.machines.wait(tenant, 'web', { states: ['pausing'], timeoutMs: 5_000 }, signal);
    clock.advance(10 * minute);
    paused.resolve();
    await pausing;
    expect(await web()).toMatchObject({ state: 'paused', ...counting(0) });
    await pass(0);
    await expect(web()).rejects.toMatchObject({ code: 'not_found' });
  });

  test('can be changed while it stands still: it begins when the machine goes on', async () => {
    await run({ onExpire: 'stop' });
    await fake.machines.pause(tenant, 'web');
    const update = (request: Parameters<typeof fake.machines.update>[2]) =>
      fake.machines.update(tenant, 'web', request);
    expect(await update({ lifetimeSeconds: 60 })).toMatchObject(still(minute));
    clock.advance(60 * minute);
    expect(await update({ lifetimeCounts: 'always' })).toMatchObject(counting(minute));
    expect(await update({ lifetimeCounts: 'unless_paused' })).toMatchObject(still(minute));
    expect(await update({ labels: { a: 'b' } })).toMatchObject(still(minute));
    expect(await update({ lifetimeSeconds: null })).toMatchObject(over);
    await fake.machines.resume(tenant, 'web');
    expect(await web()).toMatchObject({ state: 'running', ...over });
    expect(await update({ lifetimeSeconds: 60 })).toMatchObject(counting(minute));
  });

  test('that has ended is given again while the machine rests, and can be removed', async () => {
    await run({ onExpire: 'pause' });
    await pass(10 * minute);
    const update = (lifetimeSeconds: number | null) =>
      fake.machines.update(tenant, 'web', { lifetimeSeconds });
    expect(await update(60)).toMatchObject({ state: 'paused', ...still(minute) });
    expect(await update(null)).toMatchObject(over);
    await fake.machines.resume(tenant, 'web');
    expect(await web()).toMatchObject({ state: 'running', ...over });
  });

  test('of which little is left leaves a second after a resume', async () => {
    await run({});
    clock.advance(10 * minute - 1);
    await fake.machines.pause(tenant, 'web');
    expect(await web()).toMatchObject(still(1_000));
  });
});
