/**
 * Adoption and claim are one transaction: afterwards a database knows the machines and the host, or neither.
 */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeFlotilla, startFake } from '../../../test/support/fake.ts';
import { silentLog } from '../../lib/log.ts';
import { parseMachine } from '../../store/machine-row.ts';
import { sampleMachine } from '../../store/testing/samples.ts';
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
  return { store, records, parse: parseMachine, engines: edges.engines, claim, log: silentLog };
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

test('a machine that the database has already is left alone', async () => {
  const there = await fake.store.machines.insert(sampleMachine({ slot: 1 }));
  const namesake = { ...sampleMachine({ slot: 2, tenant: there.tenant }), spec: there.spec };
  const sameSlot = [sampleMachine({ slot: 4 }), sampleMachine({ slot: 4 })];
  const { adopted, left } = await adoptState(depsOf([there, namesake, ...sameSlot]));
  expect(adopted.map(({ id }) => id)).toEqual([sameSlot[0]?.id]);
  expect(left.map(({ machineId }) => machineId)).toEqual([there.id, namesake.id, sameSlot[1]?.id]);
});
