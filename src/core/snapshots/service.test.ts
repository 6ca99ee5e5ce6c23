/** Snapshots and forks: preconditions, races and results, on the fake engine with the real store. */
import { afterEach, expect, test } from 'vitest';
import { type FakeFlotilla, type FakeOptions, startFake } from '../../../test/support/fake.ts';
import { AppError } from '../errors.ts';
import { anyone } from '../machines/creation.ts';
import { noLimits } from '../quotas/quota.ts';
import { FakeClock } from '../testing/fake-clock.ts';

const tenant = 'default';

let fake: FakeFlotilla;
afterEach(() => fake.close());

async function begin(options: FakeOptions = {}) {
  fake = await startFake(options);
  await fake.machines.create(tenant, { name: 'web', vcpuCount: 1, memoryMib: 128, image: 'busybox' });
  return (await fake.machines.start(tenant, 'web')).machine;
}

const get = (name = 'web') => fake.machines.get(tenant, name);
const create = (request = {}) => fake.snapshots.create(tenant, 'web', request);
const fork = (request = {}) => fake.snapshots.fork(tenant, 'web', { count: 2, ...request }, anyone);
const list = async () => (await fake.snapshots.list(tenant, { limit: 100, offset: 0 })).snapshots;

test('a running machine goes on; the snapshot has its memory and its disk', async () => {
  const machine = await begin();
  const snapshot = await create({ name: 'first', labels: { a: 'b' } });
  expect(snapshot).toMatchObject({
    ...{ name: 'first', state: 'ready', hasMemory: true, sizeBytes: 1000, labels: { a: 'b' } },
    ...{ machineId: machine.id, parentId: null, spec: { name: 'web', memoryMib: 128 } },
  });
  expect(await get()).toMatchObject({ state: 'running', incarnation: machine.incarnation });
  expect(await fake.snapshots.get(tenant, 'first')).toEqual(snapshot);
  expect(await fake.snapshots.get(tenant, snapshot.id)).toEqual(snapshot);
  await expect(fake.snapshots.get('other', snapshot.id)).rejects.toMatchObject({ code: 'not_found' });
  await expect(create({ name: 'first' })).rejects.toMatchObject({ code: 'conflict' });
  expect(fake.snapshotFiles.kept.size).toBe(1);
});

test('what can be saved depends on the state', async () => {
  await begin();
  await fake.machines.pause(tenant, 'web');
  expect(await create()).toMatchObject({ hasMemory: true });
  expect(await get()).toMatchObject({ state: 'paused' });
  await fake.machines.suspend(tenant, 'web');
  expect(await create()).toMatchObject({ hasMemory: true });
  expect(await create({ memory: false })).toMatchObject({ hasMemory: false });
  await fake.machines.stop(tenant, 'web', { force: true });
  expect(await create()).toMatchObject({ hasMemory: false });
  await expect(create({ memory: true })).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('no memory'),
  });
  expect(await list()).toHaveLength(4);
});

test('memory is saved only if its guest could become another machine', async () => {
  await begin();
  const { guest } = fake;
  const { waitReady } = guest;
  guest.waitReady = async (...args) => ({ ...(await waitReady.apply(guest, args)), features: ['rekey'] });
  await expect(create()).rejects.toMatchObject({ code: 'unsupported' });
  expect(await create({ memory: false })).toMatchObject({ hasMemory: false });
  expect(await get()).toMatchObject({ state: 'running' });
  expect(await list()).toHaveLength(1);
});

test('a host limits the snapshots of each machine, unless others make room', async () => {
  const clock = new FakeClock();
  await begin({ clock, snapshotsPerMachine: 2 });
  for (const name of ['first', 'second']) {
    await create({ name });
    clock.advance(1000);
  }
  const refusal = { code: 'quota', details: { resource: 'snapshots', used: 2, limit: 2 } };
  await expect(create()).rejects.toMatchObject(refusal);
  await expect(create({ keep: 3 })).rejects.toMatchObject(refusal);
  await create({ name: 'third', keep: 2 });
  expect((await list()).map(({ name }) => name)).toEqual(['third', 'second']);
});

test('only the newest ones are kept', async () => {
  const clock = new FakeClock();
  await begin({ clock });
  for (let count = 0; count < 3; count++) {
    clock.advance(1000);
    await create({ name: `s${count}` });
  }
  clock.advance(1000);
  await create({ name: 'last', keep: 2 });
  expect((await list()).map(({ name }) => name)).toEqual(['last', 's2']);
  await expect(create({ keep: 0 })).rejects.toMatchObject({ code: 'invalid' });
});

test('a failed capture leaves nothing, and the machine as it was', async () => {
  await begin();
  fake.driver.failNext('capture');
  await expect(create()).rejects.toMatchObject({ code: 'engine' });
  expect(await list()).toEqual([]);
  expect(fake.snapshotFiles.kept.size).toBe(0);
  expect(await get()).toMatchObject({ state: 'running', failure: null });
  const gone = AbortSignal.abort(new Error('left'));
  await expect(fake.snapshots.create(tenant, 'web', {}, gone)).rejects.toThrow('left');
  expect(await list()).toEqual([]);
});

test('a machine is made from it, and its first start restores it with names of its own', async () => {
  const parent = await begin();
  const snapshot = await create();
  const source = { kind: 'snapshot', snapshot: snapshot.id } as const;
  const child = await fake.machines.create(tenant, { name: 'child', source });
  expect(child).toMatchObject({
    state: 'suspended',
    spec: { name: 'child', memoryMib: 128, image: 'busybox', snapshot: snapshot.id },
    savedMemory: { machineId: parent.id },
  });
  fake.guest.calls.length = 0;
  const { machine } = await fake.machines.start(tenant, 'child');
  expect(machine).toMatchObject({ state: 'running', handle: { restoredFrom: parent.incarnation } });
  const told = fake.guest.calls.filter((call) => call.includes(machine.incarnation ?? '?'));
  expect(told.map((call) => call.split(' ')[0])).toEqual(['rekey', 'waitReady', 'adopt', 'network']);
  expect(await fake.snapshots.create(tenant, 'child', {})).toMatchObject({ parentId: snapshot.id });

  await expect(fake.machines.create(tenant, { name: 'big', source, memoryMib: 256 })).rejects.toMatchObject({
    code: 'invalid',
  });
  await expect(
    fake.machines.create(tenant, { name: 'off', source, network: { mode: 'none' } }),
  ).rejects.toMatchObject({ code: 'invalid' });
  await expect(fake.machines.create('other', { name: 'theirs', source })).rejects.toMatchObject({
    code: 'not_found',
  });

  await fake.machines.delete(tenant, 'web', { force: true });
  const { snapshots } = await fake.snapshots.list(tenant, { machine: parent.id, limit: 1, offset: 0 });
  expect(snapshots.map(({ id }) => id)).toEqual([snapshot.id]);
  await fake.snapshots.delete(tenant, snapshot.id);
  expect(await get('child')).toMatchObject({ state: 'running' });
});

test('one without memory makes machines that boot, also with more memory and a larger disk', async () => {
  await begin();
  const snapshot = await create({ memory: false });
  const source = { kind: 'snapshot', snapshot: snapshot.name } as const;
  const larger = { vcpuCount: 2, memoryMib: 256, diskMib: snapshot.spec.diskMib + 100 };
  const child = await fake.machines.create(tenant, { name: 'child', source, ...larger });
  expect(child).toMatchObject({ state: 'created', savedMemory: null, spec: larger });
  expect(fake.disks.contents.get(child.id)).toBe(fake.snapshotFiles.locate(snapshot.id).disk);
  expect((await fake.machines.start(tenant, 'child')).machine.handle?.restoredFrom).toBeNull();
});

test('its machine is set back: the present state is lost, and it goes on from there', async () => {
  const before = await begin();
  const snapshot = await create();
  const machine = await fake.snapshots.restore(tenant, snapshot.id);
  expect(machine).toMatchObject({
    ...{ id: before.id, state: 'running', spec: { snapshot: snapshot.id } },
    handle: { restoredFrom: before.incarnation },
  });
  expect(machine.incarnation).not.toBe(before.incarnation);
  // The same machine keeps the names that its users gave it.
  const told = fake.guest.calls.filter((call) => call.includes(machine.incarnation ?? '?'));
  expect(told.map((call) => call.split(' ')[0])).toContain('resync');
  expect(fake.disks.contents.get(machine.id)).toBe(fake.snapshotFiles.locate(snapshot.id).disk);

  expect(await fake.snapshots.restore(tenant, snapshot.id, { start: false })).toMatchObject({
    state: 'suspended',
  });
  await fake.machines.stop(tenant, 'web', { force: true });
  expect(await fake.snapshots.restore(tenant, snapshot.id)).toMatchObject({ state: 'running' });
  await fake.machines.delete(tenant, 'web', { force: true });
  await expect(fake.snapshots.restore(tenant, snapshot.id)).rejects.toMatchObject({ code: 'not_found' });
});

test('a damaged snapshot changes nothing', async () => {
  const { incarnation } = await begin();
  const snapshot = await create();
  const damage = () => new AppError('conflict', 'snapshot is damaged: the content of disk.qcow2 has changed');
  fake.snapshotFiles.nextFailure = damage();
  await expect(fake.snapshots.restore(tenant, snapshot.id)).rejects.toThrow('damaged');
  expect(await get()).toMatchObject({ state: 'running', incarnation });
  fake.snapshotFiles.nextFailure = damage();
  const source = { kind: 'snapshot', snapshot: snapshot.id } as const;
  await expect(fake.machines.create(tenant, { name: 'child', source })).rejects.toThrow('damaged');
  await expect(get('child')).rejects.toMatchObject({ code: 'not_found' });
});

test('forks have a lifetime of their own, as long as the machine’s', async () => {
  await begin();
  await fake.machines.update(tenant, 'web', { lifetimeSeconds: 3600, onExpire: 'suspend' });
  const [running] = await fork({ count: 1 });
  expect(running?.machine?.spec).toMatchObject({ lifetimeSeconds: 3600, onExpire: 'suspend' });
  expect(running?.machine?.expiresAt).not.toBeNull();
  const [suspended] = await fork({ count: 1, name: 'still', start: false });
  expect(suspended?.machine).toMatchObject({ expiresAt: null, remainingMs: expect.any(Number) });
});

test('forks run, and leave no snapshot', async () => {
  const parent = await begin();
  const outcomes = await fork({ name: 'copy' });
  expect(outcomes).toMatchObject([
    { name: 'copy-1', problem: null, machine: { state: 'running', spec: { name: 'copy-1' } } },
    { name: 'copy-2', problem: null, machine: { state: 'running' } },
  ]);
  for (const { machine } of outcomes) expect(machine?.handle?.restoredFrom).toBe(parent.incarnation);
  expect(await get()).toMatchObject({ state: 'running', incarnation: parent.incarnation });
  expect(await list()).toEqual([]);
  expect(fake.snapshotFiles.kept.size).toBe(0);
  expect(await fork({ names: ['x', 'y'], start: false })).toMatchObject([
    { machine: { state: 'suspended' } },
    { machine: { state: 'suspended' } },
  ]);
});

test('all forks are admitted, or none', async () => {
  await begin();
  const limits = { ...noLimits, machines: 3 };
  await fake.store.quotas.set({ tenant, limits, updatedAt: new Date().toISOString() });
  await expect(fork({ count: 3 })).rejects.toMatchObject({ code: 'quota' });
  await expect(fork({ count: 101 })).rejects.toMatchObject({ code: 'invalid' });
  await expect(fork({ names: ['x', 'x'] })).rejects.toMatchObject({ code: 'invalid' });
  await expect(fork({ names: ['x'] })).rejects.toMatchObject({ code: 'invalid' });
  await expect(fork({ names: ['x', 'web'] })).rejects.toMatchObject({ code: 'conflict' });
  expect(fake.driver.calls.get('capture')).toBeUndefined();
  expect(await fork({ count: 2 })).toMatchObject([{ problem: null }, { problem: null }]);
});

test('one fork that fails says so, and the others run', async () => {
  await begin();
  fake.driver.failNext('launch');
  const outcomes = await fork({ count: 3 });
  expect(outcomes.filter(({ problem }) => problem === null)).toHaveLength(2);
  const [failed] = outcomes.filter(({ problem }) => problem !== null);
  // Its memory is still there; another start may succeed.
  expect(failed).toMatchObject({ problem: { code: 'engine' }, machine: { state: 'suspended' } });
});

test('what a daemon has left is removed by the next one', async () => {
  await begin();
  const snapshot = await create();
  const at = new Date().toISOString();
  await fake.store.snapshots.patch(snapshot.id, { state: 'deleting' }, at);
  await fake.snapshotFiles.begin('unknown');
  await fake.snapshots.collect(new AbortController().signal);
  expect(await list()).toEqual([]);
  expect(fake.snapshotFiles.kept.size).toBe(0);
});
