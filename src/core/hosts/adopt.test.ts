/**
 * Adoption and claim are one transaction: afterwards a database knows the machines and the host, or neither.
 */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeFlotilla, startFake } from '../../../test/support/fake.ts';
import { silentLog } from '../../lib/log.ts';
import { timeAfter, timeOf } from '../../lib/times.ts';
import { parseMachine } from '../../store/machine-row.ts';
import { sampleMachine } from '../../store/testing/samples.ts';
import { AppError } from '../errors.ts';
import type { Machine } from '../machines/machine.ts';
import { noNetwork } from '../network/machine-network.ts';
import type { MachineRecords } from '../ports/records.ts';
import { adoptState } from './adopt.ts';

const at = '2026-01-01T00:00:00.000Z';
const claim = { hostId: 'newhost', bootIdBefore: null, epochBefore: 7, at };

let fake: FakeFlotilla;
beforeEach(async () => {
  fake = await startFake();
});
afterEach(() => fake.close());

function depsOf(machines: readonly ReturnType<typeof sampleMachine>[]) {
  const found = machines.map((machine) => ({ machineId: machine.id, hasRecord: true, machine }));
  const records: MachineRecords = {
    begin: async () => undefined,
    write: async () => true,
    list: async () => found,
    read: async () => null,
  };
  const { store, edges } = fake;
  return {
    store,
    records,
    parse: parseMachine,
    engines: edges.engines,
    claim,
    log: silentLog,
    savedMemories: edges.savedMemories,
    network: edges.network.facts,
  };
}

const recorded = async () => (await fake.store.machines.all(claim.hostId)).map(({ id }) => id);

test('after the commit the database belongs to the host and continues the recorded count of daemons', async () => {
  const machine = sampleMachine({ slot: 3 });
  await adoptState(depsOf([machine]));
  expect(await recorded()).toEqual([machine.id]);
  expect(await fake.store.hosts.epoch(claim.hostId)).toBe(8);
});

test('when adoption fails, the database knows neither the host nor a machine', async () => {
  const machine = sampleMachine({ slot: 3 });
  const owner = { kind: 'machine', id: 'another' } as const;
  // A taken slot is only detected when the machine is written.
  await fake.store.allocations.take({ hostId: claim.hostId, kind: 'vmm_uid', owner, min: 3, max: 3, at });
  await expect(adoptState(depsOf([machine]))).rejects.toMatchObject({ code: 'exhausted' });
  expect(await recorded()).toEqual([]);
  expect(await fake.store.hosts.epoch(claim.hostId)).toBeNull();
});

test('a machine whose memory is saved is suspended, and damaged memory does not keep the others out', async () => {
  const sampled = (slot: number): Machine => {
    const machine = sampleMachine({ slot, incarnation: `i${slot}` });
    return { ...machine, spec: { ...machine.spec, network: noNetwork } };
  };
  const [suspended, older, damaged] = [sampled(1), sampled(2), sampled(3)];
  const memory = { incarnation: 'i1', operationId: 'o1', savedAt: at };
  for (const { id } of [suspended, older]) fake.savedMemories.saved.set(id, memory);
  const { find } = fake.savedMemories;
  fake.savedMemories.find = async (id) => {
    if (id === damaged.id) throw new AppError('conflict', 'damaged');
    return await find.call(fake.savedMemories, id);
  };
  const { adopted } = await adoptState(depsOf([suspended, older, damaged]));
  expect(adopted.map(({ state, savedMemory }) => [state, savedMemory])).toEqual([
    ['suspended', memory],
    ['stopped', null],
    ['stopped', null],
  ]);
});

test('a lifetime that stood still goes on, unless the machine is suspended still', async () => {
  const sampled = (slot: number): Machine => {
    const machine = sampleMachine({ slot, incarnation: `i${slot}`, state: 'suspended', remainingMs: 60_000 });
    return { ...machine, spec: { ...machine.spec, network: noNetwork } };
  };
  const [suspended, booted, damaged] = [sampled(1), sampled(2), sampled(3)];
  const memory = { incarnation: 'i1', operationId: 'o1', savedAt: at };
  fake.savedMemories.saved.set(suspended.id, memory);
  const { adopted, left } = await adoptState(depsOf([suspended, booted, { ...damaged, remainingMs: 1e300 }]));
  expect(adopted).toMatchObject([
    { state: 'suspended', expiresAt: null, remainingMs: 60_000 },
    { state: 'stopped', expiresAt: timeAfter(timeOf(claim.at), 60_000), remainingMs: null },
  ]);
  expect(left.map(({ machineId }) => machineId)).toEqual([damaged.id]);
});

test('what was saved of a guest that still has its VMM is discarded', async () => {
  await fake.machines.create('default', { name: 'web', vcpuCount: 1, memoryMib: 128, image: 'busybox' });
  await fake.machines.start('default', 'web');
  const { machine } = await fake.machines.pause('default', 'web');
  const { incarnation } = machine;
  const sample = sampleMachine({ slot: 9, incarnation });
  const found = { ...sample, spec: { ...sample.spec, engine: machine.spec.engine } };
  const memory = { incarnation: incarnation ?? '', operationId: 'o1', savedAt: at };
  fake.savedMemories.saved.set(found.id, memory);
  const { adopted } = await adoptState(depsOf([found]));
  expect(adopted).toMatchObject([{ state: 'paused', savedMemory: null }]);
  expect(fake.savedMemories.saved.size).toBe(0);
});

test('a machine that the database has already is left alone', async () => {
  const there = await fake.store.machines.insert(sampleMachine({ slot: 1 }));
  const namesake = { ...sampleMachine({ slot: 2, tenant: there.tenant }), spec: there.spec };
  const sameSlot = [sampleMachine({ slot: 4 }), sampleMachine({ slot: 4 })];
  const { adopted, left } = await adoptState(depsOf([there, namesake, ...sameSlot]));
  expect(adopted.map(({ id }) => id)).toEqual([sameSlot[0]?.id]);
  expect(left.map(({ machineId }) => machineId)).toEqual([there.id, namesake.id, sameSlot[1]?.id]);
});
