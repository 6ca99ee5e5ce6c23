/**
 * Keeps the slots of machines that only the record beside their disk knows. Their VMMs may run on, and a slot is a user
 * of the host: a new machine in the same slot could reach the other's files.
 */
import type { Logger } from '../../lib/log.ts';
import { isAppError } from '../errors.ts';
import { vmmUidMax } from '../machines/service.ts';
import type { MachineRecords } from '../ports/records.ts';
import type { Store } from '../ports/store.ts';

export interface ForeignSlotsDeps {
  readonly store: Store;
  readonly records: Pick<MachineRecords, 'list'>;
  readonly hostId: string;
  readonly log: Logger;
  readonly now: Date;
}

/** Before any machine is made. Done again it changes nothing. */
export async function keepForeignSlots(deps: ForeignSlotsDeps): Promise<void> {
  const { store, records, hostId, log, now } = deps;
  const machines = await store.machines.all(hostId);
  const known = new Set([...machines, ...(await store.machines.damaged(hostId))].map(({ id }) => id));
  const taken = new Set(machines.map(({ slot }) => slot));
  for (const { machineId, machine } of await records.list()) {
    const { slot } = Object(machine) as { readonly slot?: unknown };
    if (known.has(machineId) || !isSlot(slot)) continue;
    if (taken.has(slot)) {
      log.warn({ machine: machineId, slot }, 'a machine of another database has the slot of one of this');
      continue;
    }
    const owner = { kind: 'machine', id: machineId } as const;
    const range = { min: slot, max: slot };
    try {
      await store.allocations.take({ hostId, kind: 'vmm_uid', owner, ...range, at: now.toISOString() });
    } catch (error) {
      // Kept already, by a start before this one.
      if (!isAppError(error, 'exhausted')) throw error;
    }
  }
}

function isSlot(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 1 && Number(value) <= vmmUidMax;
}
