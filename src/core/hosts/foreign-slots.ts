/**
 * Reserves the slots of foreign machines: those with a record beside their disk that this database does not
 * know. Their VMMs may still run, and a slot determines the VMM's user id: a new machine in the same slot
 * could read the other's files.
 */
import type { Logger } from '../../lib/log.ts';
import { isAppError } from '../errors.ts';
import { vmmUidMax } from '../machines/creation.ts';
import type { MachineRecords } from '../ports/records.ts';
import type { Store } from '../ports/store.ts';

export interface ForeignSlotsDeps {
  readonly store: Store;
  readonly records: Pick<MachineRecords, 'list'>;
  readonly hostId: string;
  readonly log: Logger;
  readonly now: Date;
}

/** Runs before any machine is created. Idempotent. */
export async function keepForeignSlots(deps: ForeignSlotsDeps): Promise<void> {
  const { store, records, hostId, log, now } = deps;
  const machines = await store.machines.all(hostId);
  const known = new Set([...machines, ...(await store.machines.damaged(hostId))].map(({ id }) => id));
  const taken = new Set(machines.map(({ slot }) => slot));
  for (const { machineId, machine } of await records.list()) {
    const { slot } = Object(machine) as { readonly slot?: unknown };
    if (known.has(machineId) || !isSlot(slot)) continue;
    if (taken.has(slot)) {
      log.warn({ machine: machineId, slot }, 'slot claimed by a machine of another database too');
      continue;
    }
    const owner = { kind: 'machine', id: machineId } as const;
    const range = { min: slot, max: slot };
    try {
      await store.allocations.take({ hostId, kind: 'vmm_uid', owner, ...range, at: now.toISOString() });
    } catch (error) {
      // Reserved already by an earlier start.
      if (!isAppError(error, 'exhausted')) throw error;
    }
  }
}

function isSlot(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 1 && Number(value) <= vmmUidMax;
}
