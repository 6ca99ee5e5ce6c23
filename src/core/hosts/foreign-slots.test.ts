import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type FakeFlotilla, startFake } from '../../../test/support/fake.ts';
import { silentLog } from '../../lib/log.ts';
import { sampleMachine } from '../../store/testing/samples.ts';
import { keepForeignSlots } from './foreign-slots.ts';

let fake: FakeFlotilla;
beforeEach(async () => {
  fake = await startFake();
});
afterEach(() => fake.close());

const record = (machineId: string, machine: unknown) =>
  fake.records.found.set(machineId, { machineId, hasRecord: true, machine });

async function keep(): Promise<readonly string[]> {
  const warn = vi.fn();
  const { store, records } = fake;
  const log = { ...silentLog, warn };
  await keepForeignSlots({ store, records, hostId: 'host', log, now: new Date() });
  return warn.mock.calls.map(([{ machine }]) => machine);
}

test('no new machine gets the slot of a foreign machine', async () => {
  record('ghost', { slot: 1 });
  record('broken', null);
  record('odd', { slot: 'two' });
  expect(await keep()).toEqual([]);
  expect(await keep()).toEqual([]);
  const request = { name: 'web', vcpuCount: 1, memoryMib: 128, image: 'busybox' };
  const machine = await fake.machines.create('default', request);
  expect(machine.slot).toBe(2);
});

test('a slot claimed twice is logged, and a machine’s own record reserves nothing', async () => {
  const machine = await fake.store.machines.insert(sampleMachine({ hostId: 'host', slot: 7 }));
  record(machine.id, { slot: 9 });
  record('ghost', { slot: 7 });
  expect(await keep()).toEqual(['ghost']);
  const owner = { kind: 'machine', id: 'new' } as const;
  const at = new Date().toISOString();
  const taken = { hostId: 'host', kind: 'vmm_uid', owner, min: 9, max: 9, at } as const;
  expect(await fake.store.allocations.take(taken)).toBe(9);
});
