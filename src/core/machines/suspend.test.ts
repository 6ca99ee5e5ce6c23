/** Suspending and restoring: preconditions, races and results, on the fake engine with the real store. */
import { afterEach, expect, test } from 'vitest';
import { type FakeFlotilla, type FakeOptions, startFake } from '../../../test/support/fake.ts';
import { AppError } from '../errors.ts';

const tenant = 'default';

let fake: FakeFlotilla;
afterEach(() => fake.close());

async function begin(options: FakeOptions = {}): Promise<string> {
  fake = await startFake(options);
  await fake.machines.create(tenant, { name: 'web', vcpuCount: 1, memoryMib: 128, image: 'busybox' });
  const { machine } = await fake.machines.start(tenant, 'web');
  return machine.incarnation ?? '';
}

const get = () => fake.machines.get(tenant, 'web');
const suspend = () => fake.machines.suspend(tenant, 'web');
const start = () => fake.machines.start(tenant, 'web');
const living = () => fake.driver.listLiving();

test('frees the VMM and the network, and a start restores the memory under a token of its own', async () => {
  const incarnation = await begin();
  expect(await suspend()).toMatchObject({
    verdict: 'done',
    machine: { state: 'suspended', handle: null, savedMemory: { incarnation }, desired: 'stopped' },
  });
  expect(await living()).toEqual([]);
  expect(fake.hostNetwork.attached.size).toBe(0);
  expect(await suspend()).toMatchObject({ verdict: 'ignored' });

  const { machine } = await start();
  expect(machine).toMatchObject({
    state: 'running',
    savedMemory: null,
    handle: { restoredFrom: incarnation },
  });
  expect(machine.incarnation).not.toBe(incarnation);
  expect(fake.driver.machine(machine.incarnation ?? '').status).toEqual({ state: 'running' });
  const told = fake.guest.calls.filter((call) => call.includes(machine.incarnation ?? '?'));
  // It gets its token first, then clock and entropy. It keeps the names that its users gave it.
  expect(told.map((call) => call.split(' ')[0])).toEqual(['rekey', 'waitReady', 'resync', 'network']);
  expect(fake.savedMemories.saved.size).toBe(0);
});

test('a restored machine can be paused and resumed', async () => {
  await begin();
  await suspend();
  await start();
  await fake.machines.pause(tenant, 'web');
  fake.guest.calls.length = 0;
  await fake.machines.resume(tenant, 'web');
  expect(await get()).toMatchObject({ state: 'running' });
  expect(fake.guest.calls.filter((call) => call.startsWith('rekey'))).toEqual([]);
});

test('memory that an earlier suspend could not discard is never taken for the present one', async () => {
  const incarnation = await begin();
  const { id } = await get();
  const left = { incarnation, operationId: 'earlier', savedAt: '2020-01-01T00:00:00.000Z' };
  fake.savedMemories.saved.set(id, left);
  const { machine } = await suspend();
  expect(machine.savedMemory?.operationId).not.toBe('earlier');
  expect(fake.savedMemories.saved.get(id)).toEqual(machine.savedMemory);
});

test('a guest goes on only after what was saved of it is discarded', async () => {
  const incarnation = await begin();
  const { id } = await get();
  const { publish } = fake.savedMemories;
  fake.savedMemories.publish = async (...args) => {
    await publish.apply(fake.savedMemories, args);
    fake.savedMemories.nextFailure = new Error('the disk does not answer');
    throw new Error('the answer is lost');
  };
  await expect(suspend()).rejects.toMatchObject({ message: expect.stringContaining('the answer is lost') });
  expect(await get()).toMatchObject({ state: 'running', savedMemory: null });
  expect(fake.savedMemories.saved.has(id)).toBe(false);
  expect(fake.driver.machine(incarnation).status).toEqual({ state: 'running' });
});

test('a machine that is to stand still stays suspended', async () => {
  await begin();
  await suspend();
  expect(await fake.machines.halt(tenant, 'web')).toMatchObject({ machine: { state: 'suspended' } });
  expect(fake.savedMemories.saved.size).toBe(1);
});

test('a guest whose agent cannot be given another token goes on', async () => {
  await begin();
  const { waitReady } = fake.guest;
  fake.guest.waitReady = async (...args) => ({ ...(await waitReady.apply(fake.guest, args)), features: [] });
  await expect(suspend()).rejects.toMatchObject({ code: 'unsupported' });
  expect(await get()).toMatchObject({ state: 'running', failure: null });
  expect(await living()).toHaveLength(1);
});

test('is refused where the engine cannot, before anything is recorded', async () => {
  await begin({ without: ['snapshots'] });
  await expect(suspend()).rejects.toMatchObject({ code: 'unsupported' });
  expect(await get()).toMatchObject({ state: 'running', operationId: null });
});

test('without room on the disk the machine goes on', async () => {
  await begin();
  fake.disks.free = 150;
  await expect(suspend()).rejects.toMatchObject({ code: 'exhausted' });
  expect(await get()).toMatchObject({ state: 'running', savedMemory: null });
  expect(fake.savedMemories.saved.size + fake.savedMemories.begun.size).toBe(0);
});

test('a paused machine that cannot be suspended stays paused', async () => {
  const incarnation = await begin();
  await fake.machines.pause(tenant, 'web');
  fake.driver.failNext('save');
  await expect(suspend()).rejects.toMatchObject({ code: 'engine' });
  expect(await get()).toMatchObject({ state: 'paused' });
  expect(fake.driver.machine(incarnation).status).toMatchObject({ state: 'paused' });
});

test('memory that cannot be loaded leaves the machine suspended; a stop with force gives it up', async () => {
  await begin();
  await suspend();
  fake.driver.failNext('launch', new AppError('conflict', 'the saved memory is damaged'));
  await expect(start()).rejects.toMatchObject({ code: 'conflict' });
  expect(await get()).toMatchObject({ state: 'suspended', failure: null, handle: null });
  await expect(fake.machines.stop(tenant, 'web')).rejects.toMatchObject({ code: 'conflict' });
  expect(await fake.machines.stop(tenant, 'web', { force: true })).toMatchObject({
    machine: { state: 'stopped', savedMemory: null },
  });
  expect(fake.savedMemories.saved.size).toBe(0);
  expect((await start()).machine).toMatchObject({ state: 'running', handle: { restoredFrom: null } });
});

test('a stop of a machine that is being restored cancels that: it stays suspended, unless the stop is forced', async () => {
  await begin();
  await suspend();
  const { savedMemories } = fake;
  const find = savedMemories.find.bind(savedMemories);
  for (const [force, state] of [
    [false, 'suspended'],
    [true, 'stopped'],
  ] as const) {
    const looking = Promise.withResolvers<void>();
    const hang = (_: string, signal: AbortSignal) => {
      savedMemories.find = find;
      looking.resolve();
      return new Promise((__, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    };
    Object.assign(savedMemories, { find: hang });
    const starting = start().catch((error: unknown) => error);
    await looking.promise;
    expect(await fake.machines.stop(tenant, 'web', { force })).toMatchObject({
      verdict: 'done',
      machine: { state, operationId: null },
    });
    expect(await starting).toMatchObject({ code: 'conflict' });
  }
});

test('a guest that went on and did not answer is never restored a second time', async () => {
  await begin({ bootTimeoutMs: 50 });
  await suspend();
  fake.guest.onReady = () => new Promise(() => undefined);
  await expect(start()).rejects.toMatchObject({ code: 'timeout' });
  expect(await get()).toMatchObject({ state: 'failed', savedMemory: null });
  fake.guest.onReady = async () => undefined;
  expect((await start()).machine).toMatchObject({ state: 'running', handle: { restoredFrom: null } });
});

test('survives a reboot of the host, and is restored after it', async () => {
  const incarnation = await begin();
  await suspend();
  const core = await fake.recovered({ hasHostRebooted: true });
  expect(await get()).toMatchObject({ state: 'suspended' });
  const { machine } = await core.machines.start(tenant, 'web');
  expect(machine).toMatchObject({ state: 'running', handle: { restoredFrom: incarnation } });
});

test('its hardware stays as it is, its name and labels may change', async () => {
  await begin();
  await suspend();
  const update = (request: Parameters<typeof fake.machines.update>[2]) =>
    fake.machines.update(tenant, 'web', request);
  await expect(update({ memoryMib: 256 })).rejects.toMatchObject({ code: 'conflict' });
  await expect(update({ network: { mode: 'none' } })).rejects.toMatchObject({ code: 'conflict' });
  expect(await update({ labels: { team: 'blue' } })).toMatchObject({ state: 'suspended' });
  expect((await start()).machine.state).toBe('running');
});

test('a machine that nobody uses is suspended by its idle policy, and a request wakes it', async () => {
  await begin();
  await fake.machines.update(tenant, 'web', { idle: { afterSeconds: 1, action: 'suspend' } });
  const machine = await get();
  await fake.store.machines.noteIdleAt(machine.id, machine.incarnation ?? '', '2020-01-01T00:00:00.000Z');
  await fake.keeper.look();
  await fake.keeper.settled();
  expect(await get()).toMatchObject({ state: 'suspended' });
  const signal = new AbortController().signal;
  const awake = await fake.waking.ensureAwake({ tenant, machine: 'web', timeoutMs: 5_000, signal });
  awake.release();
  expect(await get()).toMatchObject({ state: 'running' });
});

test('a daemon that takes over in the middle leaves the VMM its place in the network until it has ended', async () => {
  await begin();
  const saving = Promise.withResolvers<void>();
  Object.assign(fake.driver.snapshots ?? {}, {
    save: () => {
      saving.resolve();
      return new Promise(() => undefined);
    },
  });
  void suspend().catch(() => undefined);
  await saving.promise;
  const next = await fake.restarted();
  await next.network.restore();
  expect(fake.hostNetwork.attached.size).toBe(1);
});

test('without its saved memory a suspended machine does not start, until the memory is given up', async () => {
  await begin();
  await suspend();
  fake.savedMemories.saved.clear();
  await expect(start()).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('not there'),
  });
  expect(await get()).toMatchObject({ state: 'suspended' });
  await fake.machines.stop(tenant, 'web', { force: true });
  expect((await start()).machine).toMatchObject({ state: 'running', handle: { restoredFrom: null } });
});

test('a stop with force that fails has given the memory up: the machine boots the next time', async () => {
  await begin();
  await suspend();
  fake.driver.failNext('find');
  await expect(fake.machines.stop(tenant, 'web', { force: true })).rejects.toMatchObject({ code: 'engine' });
  expect(await get()).toMatchObject({ state: 'failed', savedMemory: null });
  expect((await start()).machine).toMatchObject({ state: 'running', handle: { restoredFrom: null } });
});
