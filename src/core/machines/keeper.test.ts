/** Lifetimes and restart policies, with the real store, a fake clock, and restarts of the daemon. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type FakeFlotilla, type FakeOptions, startFake } from '../../../test/support/fake.ts';
import type { Core } from '../core.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import type { CreateRequest } from './spec.ts';

const tenant = 'default';

let clock: FakeClock;
let fake: FakeFlotilla;
beforeEach(() => {
  clock = new FakeClock();
});
afterEach(() => fake.close());

async function begin(request: Partial<CreateRequest>, options: FakeOptions = {}): Promise<FakeFlotilla> {
  fake = await startFake({ clock, ...options });
  fake.guest.onShutdown = ({ incarnation }) => fake.driver.machine(incarnation).powerOff();
  await fake.machines.create(tenant, { ...machine, ...request });
  return fake;
}

const machine = { name: 'web', vcpuCount: 1, memoryMib: 128, image: 'busybox' };
const web = (core: Core = fake) => core.machines.get(tenant, 'web');

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
  const ended = { states: ['stopped', 'failed'], timeoutMs: 5_000 } as const;
  await fake.machines.wait(tenant, 'web', ended, new AbortController().signal);
}

describe('a lifetime', () => {
  test('that has ended deletes the machine in any state, as an operation', async () => {
    const { machines, store, disks } = await begin({ lifetimeSeconds: 60 });
    await machines.start(tenant, 'web');
    await pass(59_999);
    expect((await web()).state).toBe('running');
    await pass(1);
    await expect(web()).rejects.toMatchObject({ code: 'not_found' });
    expect(disks.made.size).toBe(0);
    const { operations } = await store.operations.list({ tenant, limit: 1, offset: 0 });
    expect(operations).toMatchObject([{ kind: 'machine.delete', state: 'succeeded' }]);
  });

  test('ends also while no daemon runs', async () => {
    await begin({ lifetimeSeconds: 60 });
    clock.advance(3_600_000);
    const next = await fake.recovered();
    await pass(0, next);
    await expect(web(next)).rejects.toMatchObject({ code: 'not_found' });
  });

  test('cancels a running start', async () => {
    const { machines, guest } = await begin({ lifetimeSeconds: 60 });
    guest.onReady = () => new Promise(() => undefined);
    const starting = machines.start(tenant, 'web').catch((error: unknown) => error);
    const isStarting = { states: ['starting'], timeoutMs: 5_000 } as const;
    await machines.wait(tenant, 'web', isStarting, new AbortController().signal);
    await pass(60_000);
    expect(await starting).toMatchObject({ code: 'conflict' });
    await expect(web()).rejects.toMatchObject({ code: 'not_found' });
  });

  test('can be extended, shortened and removed', async () => {
    const { machines } = await begin({ lifetimeSeconds: 60 });
    await machines.update(tenant, 'web', { lifetimeSeconds: 120 });
    await pass(60_000);
    expect((await web()).expiresAt).toBe('2026-01-01T00:02:00.000Z');
    await machines.update(tenant, 'web', { lifetimeSeconds: null });
    await pass(3_600_000);
    expect((await web()).expiresAt).toBeNull();
    await machines.update(tenant, 'web', { lifetimeSeconds: 1 });
    await pass(1_000);
    await expect(web()).rejects.toMatchObject({ code: 'not_found' });
  });

  test('that is extended between the check and the delete keeps the machine', async () => {
    const { machines, store, keeper } = await begin({ lifetimeSeconds: 60 });
    clock.advance(60_000);
    const due = store.machines.due.bind(store.machines);
    store.machines.due = async (...args) => {
      const found = await due(...args);
      await machines.update(tenant, 'web', { lifetimeSeconds: 60 });
      return found;
    };
    await keeper.look();
    await keeper.settled();
    expect((await web()).state).toBe('created');
  });

  test('whose delete fails is retried after a while', async () => {
    const { driver, machines } = await begin({ lifetimeSeconds: 60 });
    await machines.start(tenant, 'web');
    driver.failNext('destroy', new Error('the host says no'));
    await pass(60_000);
    expect((await web()).state).toBe('failed');
    await pass(59_999);
    expect((await web()).state).toBe('failed');
    await pass(1);
    await expect(web()).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('a restart policy', () => {
  test('no: a failed machine stays failed', async () => {
    await begin({});
    await fake.machines.start(tenant, 'web');
    await end('die');
    expect(await web()).toMatchObject({ state: 'failed', restartAt: null });
    await pass(3_600_000);
    expect((await web()).state).toBe('failed');
  });

  test('on-failure: restarts a machine whose VMM died, after 1 s, then 2 s', async () => {
    await begin({ restart: 'on-failure' });
    await fake.machines.start(tenant, 'web');
    await end('die');
    expect(await web()).toMatchObject({ state: 'failed', restartCount: 0, restartAt: fromNow(1_000) });
    await pass(999);
    expect((await web()).state).toBe('failed');
    await pass(1);
    expect(await web()).toMatchObject({ state: 'running', restartCount: 1, restartAt: null, failure: null });
    await end('die');
    expect(await web()).toMatchObject({ state: 'failed', restartCount: 1, restartAt: fromNow(2_000) });
  });

  test('a wait outlasts the failure, and ends with the last restart', async () => {
    await begin({ restart: 'on-failure' });
    await fake.machines.start(tenant, 'web');
    await end('die');
    const wait = () =>
      fake.machines.wait(
        tenant,
        'web',
        { states: ['running'], timeoutMs: 5_000 },
        new AbortController().signal,
      );
    const waiting = wait();
    await pass(1_000);
    expect(await waiting).toMatchObject({ state: 'running', restartCount: 1 });
    await end('die');
    await fake.machines.update(tenant, 'web', { restart: 'no' });
    await expect(wait()).rejects.toMatchObject({ code: 'conflict' });
  });

  test('on-failure: leaves a machine alone that powered itself off', async () => {
    await begin({ restart: 'on-failure' });
    await fake.machines.start(tenant, 'web');
    await end('powerOff');
    expect(await web()).toMatchObject({ state: 'stopped', desired: 'stopped', restartAt: null });
  });

  test('always: restarts a machine that powered itself off', async () => {
    await begin({ restart: 'always' });
    await fake.machines.start(tenant, 'web');
    await end('powerOff');
    expect(await web()).toMatchObject({ state: 'stopped', desired: 'running', restartAt: fromNow(1_000) });
    await pass(1_000);
    expect(await web()).toMatchObject({ state: 'running', restartCount: 1 });
  });

  test('gives up after ten restarts in a row; a requested start resets the count', async () => {
    const { driver, machines } = await begin({ restart: 'on-failure' });
    const fail = () => driver.failNext('launch', new Error('no'));
    fail();
    await expect(machines.start(tenant, 'web')).rejects.toThrow('no');
    const delays: number[] = [];
    for (let { restartAt } = await web(); restartAt !== null; { restartAt } = await web()) {
      const delayMs = Date.parse(restartAt) - clock.now().getTime();
      delays.push(delayMs / 1000);
      fail();
      await pass(delayMs);
    }
    expect(delays).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
    expect(await web()).toMatchObject({ state: 'failed', restartCount: 10, restartAt: null });
    await pass(86_400_000);
    expect((await web()).state).toBe('failed');
    await machines.start(tenant, 'web');
    expect(await web()).toMatchObject({ state: 'running', restartCount: 0 });
  });

  test('resets the count after ten minutes of running', async () => {
    await begin({ restart: 'always' });
    await fake.machines.start(tenant, 'web');
    await end('die');
    await pass(1_000);
    clock.advance(600_000);
    await end('die');
    expect(await web()).toMatchObject({ restartCount: 0, restartAt: fromNow(1_000) });
  });

  test.each(['die', 'powerOff'] as const)('never undoes a stop: %s', async (how) => {
    const { machines } = await begin({ restart: 'always' });
    await machines.start(tenant, 'web');
    await end(how);
    expect((await web()).restartAt).not.toBeNull();
    await machines.stop(tenant, 'web');
    expect(await web()).toMatchObject({ state: 'stopped', desired: 'stopped', restartAt: null });
    await pass(3_600_000);
    expect((await web()).state).toBe('stopped');
  });

  test('does not restart a machine stopped by request', async () => {
    const { machines } = await begin({ restart: 'always' });
    await machines.start(tenant, 'web');
    await machines.stop(tenant, 'web');
    expect(await web()).toMatchObject({ state: 'stopped', desired: 'stopped', restartAt: null });
  });

  test('does not restart a paused machine, whose memory is lost', async () => {
    const { machines } = await begin({ restart: 'always' });
    await machines.start(tenant, 'web');
    await machines.pause(tenant, 'web');
    await end('die');
    expect(await web()).toMatchObject({ state: 'failed', restartAt: null });
  });

  test('waits for memory without counting an attempt', async () => {
    const { machines } = await begin({ restart: 'always' }, { memoryMib: 200 });
    await machines.create(tenant, { ...machine, name: 'other' });
    await machines.start(tenant, 'web');
    await end('die');
    await machines.start(tenant, 'other');
    await pass(1_000);
    expect(await web()).toMatchObject({ state: 'failed', restartCount: 0, restartAt: fromNow(30_000) });
    await machines.stop(tenant, 'other');
    await pass(30_000);
    expect(await web()).toMatchObject({ state: 'running', restartCount: 1 });
  });

  test('is carried out by the next daemon when the first one was killed', async () => {
    await begin({ restart: 'on-failure' });
    await fake.machines.start(tenant, 'web');
    await end('die');
    const next = await fake.recovered();
    await pass(1_000, next);
    expect(await web(next)).toMatchObject({ state: 'running', restartCount: 1 });
  });

  test('that is removed cancels the pending restart', async () => {
    const { machines } = await begin({ restart: 'always' });
    await machines.start(tenant, 'web');
    await end('die');
    await machines.update(tenant, 'web', { restart: 'no' });
    await pass(3_600_000);
    expect(await web()).toMatchObject({ state: 'failed', restartAt: null });
  });
});

/** The time `ms` from now. */
function fromNow(ms: number): string {
  return new Date(clock.now().getTime() + ms).toISOString();
}

describe('a machine that the host has to start again and has too little memory for', () => {
  const short = {
    ...{ state: 'failed', desired: 'running', handle: null, operationId: null },
    failure: { code: 'memory_short', message: expect.stringContaining('needs 128 MiB') },
  };
  const runs = async (core: Core, name: string) => {
    const wanted = { states: ['running'], timeoutMs: 5_000 } as const;
    await core.machines.wait(tenant, name, wanted, new AbortController().signal);
  };

  test('is started after a reboot of the host as soon as there is enough', async () => {
    const { machines, driver } = await begin({});
    await machines.create(tenant, { ...machine, name: 'other' });
    for (const name of ['web', 'other']) await machines.start(tenant, name);
    driver.host.machines.clear();
    const next = await fake.recovered({ hasHostRebooted: true, memoryMib: 200 });
    const states = async () =>
      (await fake.store.machines.all('host')).filter(({ state }) => state === 'failed');
    const [waiting, ...others] = await states();
    expect(others).toEqual([]);
    expect(waiting).toMatchObject(short);
    const name = waiting?.spec.name ?? '';
    await pass(30_000, next);
    expect(await next.machines.get(tenant, name)).toMatchObject(short);
    await next.machines.stop(tenant, name === 'web' ? 'other' : 'web');
    await pass(30_000, next);
    await runs(next, name);
    expect(driver.host.machines.size).toBe(2);
  });

  test('is not started once somebody has stopped it', async () => {
    const { machines, driver } = await begin({});
    await machines.start(tenant, 'web');
    driver.host.machines.clear();
    const next = await fake.recovered({ hasHostRebooted: true, memoryMib: 100 });
    expect(await web(next)).toMatchObject(short);
    await next.machines.stop(tenant, 'web');
    const roomy = await fake.recovered({ memoryMib: 200 });
    await pass(60_000, roomy);
    expect(await web(roomy)).toMatchObject({ state: 'stopped', desired: 'stopped' });
  });

  test('is started after its guest’s reboot as soon as there is enough, and keeps nothing of the last boot', async () => {
    const { machines, driver, guest } = await begin({});
    const { machine: first } = await machines.start(tenant, 'web');
    const next = await fake.recovered({ memoryMib: 100 });
    guest.announce(first.incarnation ?? '', 'reboot');
    driver.machine(first.incarnation ?? '').reset();
    const ended = { states: ['failed'], timeoutMs: 5_000 } as const;
    expect(await next.machines.wait(tenant, 'web', ended, new AbortController().signal)).toMatchObject(short);
    await vi.waitFor(() => expect(guest.released).toContain(first.incarnation));
    const roomy = await fake.recovered({ memoryMib: 200 });
    await pass(30_000, roomy);
    await runs(roomy, 'web');
  });
});
