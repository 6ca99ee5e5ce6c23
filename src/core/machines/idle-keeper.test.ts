/** Idle policies, with the real store, a fake clock, and restarts of the daemon. */
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeFlotilla, startFake } from '../../../test/support/fake.ts';
import type { Core } from '../core.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import type { CreateRequest } from './spec.ts';

const tenant = 'default';
const machine = { name: 'web', vcpuCount: 1, memoryMib: 128, image: 'busybox' };
const tenMinutes = { afterSeconds: 600, action: 'pause' } as const;
const { signal } = new AbortController();

let clock: FakeClock;
let fake: FakeFlotilla;
beforeEach(async () => {
  clock = new FakeClock();
  fake = await startFake({ clock });
});
afterEach(() => fake.close());

async function run(request: Partial<CreateRequest> = { idle: tenMinutes }): Promise<string> {
  const { id } = await fake.machines.create(tenant, { ...machine, ...request });
  await fake.machines.start(tenant, id);
  return id;
}
const web = (core: Core = fake) => core.machines.get(tenant, 'web');
const wake = (core: Core = fake) =>
  core.waking.ensureAwake({ tenant, machine: 'web', timeoutMs: 10_000, signal });

/** Advances time by `ms` and runs the keeper's due work. */
async function pass(ms: number, core: Core = fake): Promise<void> {
  clock.advance(ms);
  await core.keeper.look();
  await core.keeper.settled();
}

test('an unused machine is paused at its time, and not before', async () => {
  await run();
  await pass(599_999);
  expect((await web()).state).toBe('running');
  await pass(1);
  expect(await web()).toMatchObject({ state: 'paused', idleAt: null });
});

test('an unused machine is stopped, and its restart policy leaves it so', async () => {
  await run({ idle: { afterSeconds: 60, action: 'stop' }, restart: 'always' });
  await pass(60_000);
  expect(await web()).toMatchObject({ state: 'stopped', desired: 'stopped', restartAt: null });
});

test('a machine that was woken counts as used', async () => {
  await run();
  await pass(600_000);
  (await wake()).release();
  await pass(599_999);
  expect((await web()).state).toBe('running');
  await pass(1);
  expect((await web()).state).toBe('paused');
});

test('a held machine does not rest before the hold ends, also after a restart of the daemon', async () => {
  await run();
  await fake.machines.update(tenant, 'web', { holdSeconds: 3600 });
  await pass(600_000);
  const core = await fake.recovered();
  await pass(2_999_999, core);
  expect((await web(core)).state).toBe('running');
  await pass(1, core);
  expect((await web(core)).state).toBe('paused');
});

test('a hold can be ended, and one that begins at the moment of the rest counts', async () => {
  await run();
  await fake.machines.update(tenant, 'web', { holdSeconds: 3600 });
  await pass(600_000);
  await fake.machines.update(tenant, 'web', { holdSeconds: null });
  await pass(3_000_000);
  expect((await web()).state).toBe('paused');
});

test('a machine rests when the last of two uses has ended for long enough', async () => {
  await run();
  const [first, second] = [await wake(), await wake()];
  await pass(3_600_000);
  first.release();
  await pass(600_000);
  expect((await web()).state).toBe('running');
  second.release();
  await pass(599_999);
  expect((await web()).state).toBe('running');
  await pass(1);
  expect((await web()).state).toBe('paused');
});

test('commands, files and connections count', async () => {
  await run();
  fake.guest.connections.programs.set(80, () => undefined);
  const uses = [
    async () => void (await fake.connections.connect({ tenant, machine: 'web', port: 80 }, signal)).destroy(),
    () => fake.files.stat({ tenant, machine: 'web' }, '/', true, signal).catch(() => undefined),
    async () => {
      const command = { argv: ['true'], env: {}, timeoutMs: 1_000 };
      for await (const event of await fake.machines.exec(tenant, 'web', command, signal)) void event;
    },
  ];
  for (const use of uses) {
    await pass(400_000);
    await use();
    await pass(400_000);
    expect((await web()).state).toBe('running');
    await use();
  }
});

test('a connection to a published port counts for as long as it is open', async () => {
  const id = await run();
  fake.guest.connections.programs.set(80, () => undefined);
  const connection = await fake.hostNetwork.dial?.(id, 80, signal);
  await pass(3_600_000);
  expect((await web()).state).toBe('running');
  if (connection === undefined) throw new Error('no connection');
  const closed = once(connection, 'close');
  connection.destroy();
  await closed;
  await pass(599_999);
  expect((await web()).state).toBe('running');
  await pass(1);
  expect((await web()).state).toBe('paused');
  // It wakes nothing.
  await expect(fake.hostNetwork.dial?.(id, 80, signal)).rejects.toMatchObject({ code: 'conflict' });
});

test('a use survives a restart of the daemon', async () => {
  await run();
  await pass(590_000);
  (await wake()).release();
  await pass(1_000);
  const next = await fake.recovered();
  await pass(60_000, next);
  expect((await web(next)).state).toBe('running');
  await pass(600_000, next);
  expect((await web(next)).state).toBe('paused');
});

test('uses are written rarely, and without events', async () => {
  await run();
  const before = await fake.store.events.latest();
  const { revision } = await web();
  let writes = 0;
  const note = fake.store.machines.noteIdleAt.bind(fake.store.machines);
  fake.store.machines.noteIdleAt = (...args) => {
    writes += 1;
    return note(...args);
  };
  for (let second = 0; second < 90; second += 1) {
    (await wake()).release();
    await pass(1_000);
  }
  expect(writes).toBeGreaterThan(0);
  expect(writes).toBeLessThanOrEqual(4);
  expect(await fake.store.events.latest()).toEqual(before);
  expect((await web()).revision).toBe(revision);
});

describe('a policy', () => {
  test('can be set, changed and removed while the machine runs', async () => {
    await run({});
    await pass(3_600_000);
    expect(await web()).toMatchObject({ state: 'running', idleAt: null });
    await fake.machines.update(tenant, 'web', { idle: tenMinutes });
    await fake.machines.update(tenant, 'web', { idle: null });
    await pass(3_600_000);
    expect(await web()).toMatchObject({ state: 'running', idleAt: null });
    await fake.machines.update(tenant, 'web', { idle: { afterSeconds: 5, action: 'stop' } });
    await pass(5_000);
    expect((await web()).state).toBe('stopped');
  });

  test('that the engine cannot carry out is refused', async () => {
    await fake.close();
    fake = await startFake({ without: ['pause'] });
    const asked = fake.machines.create(tenant, { ...machine, idle: tenMinutes });
    await expect(asked).rejects.toMatchObject({ code: 'unsupported' });
    await run({});
    const changed = fake.machines.update(tenant, 'web', { idle: tenMinutes });
    await expect(changed).rejects.toMatchObject({ code: 'unsupported' });
  });

  test('whose pause fails leaves the machine running, and is tried again', async () => {
    await run();
    fake.driver.failNext('pause', new Error('the host says no'));
    await pass(600_000);
    expect((await web()).state).toBe('running');
    await pass(59_999);
    expect((await web()).state).toBe('running');
    await pass(1);
    expect((await web()).state).toBe('paused');
  });
});

describe('a request at the moment of the rest', () => {
  test('that comes before it is decided keeps the machine running', async () => {
    await run();
    clock.advance(600_000);
    const due = fake.store.machines.idle.bind(fake.store.machines);
    fake.store.machines.idle = async (...args) => {
      const found = await due(...args);
      (await wake()).release();
      return found;
    };
    await fake.keeper.look();
    await fake.keeper.settled();
    expect((await web()).state).toBe('running');
  });

  test('that comes while it is being decided keeps the machine running', async () => {
    await fake.close();
    let beforeWrite = async (): Promise<void> => undefined;
    fake = await startFake({
      clock,
      wrapStore: (store) => ({
        ...store,
        async transaction(work) {
          await beforeWrite();
          return store.transaction(work);
        },
      }),
    });
    await run();
    clock.advance(600_000);
    const woken = Promise.withResolvers<Awaited<ReturnType<typeof wake>>>();
    beforeWrite = async () => {
      beforeWrite = async () => undefined;
      wake().then(woken.resolve, woken.reject);
      // Reads are answered in order: by then the request has registered, and waits.
      for (let reads = 0; reads < 3; reads += 1) await web();
    };
    await fake.keeper.look();
    await fake.keeper.settled();
    (await woken.promise).release();
    const { operations } = await fake.operations.list(tenant, { limit: 9, offset: 0 });
    expect(operations.filter(({ kind }) => kind === 'machine.pause')).toEqual([]);
    expect((await web()).state).toBe('running');
  });

  test('that comes after it wakes the machine again', async () => {
    await run();
    clock.advance(600_000);
    await fake.keeper.look();
    // The pause is under way and the record still says that the machine runs.
    const awake = await wake();
    await fake.keeper.settled();
    expect(awake.machine.state).toBe('running');
    expect((await web()).state).toBe('running');
    awake.release();
  });
});
