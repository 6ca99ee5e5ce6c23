/** Refuses a database that does not belong to the state directory, before anything is done with either. */
import { stat } from 'node:fs/promises';
import { AppError } from '../core/errors.ts';
import { decideIdentity, type IdentityFacts } from '../core/hosts/identity.ts';
import type { MachineRecords } from '../core/ports/records.ts';
import type { Store } from '../core/ports/store.ts';
import type { StateLayout } from '../storage/layout.ts';
import { readHostEpoch, readHostId } from './host-id.ts';

/** What both say, read without a change to either. */
export async function readIdentityFacts(
  store: Pick<Store, 'hosts' | 'machines'>,
  layout: StateLayout,
  records: MachineRecords,
  isAdopting: boolean,
): Promise<IdentityFacts> {
  const hostId = await readHostId(layout);
  const idsOf = async (id: string) =>
    [...(await store.machines.all(id)), ...(await store.machines.damaged(id))].map((machine) => machine.id);
  return {
    epochInState: await readHostEpoch(layout),
    epochInDatabase: hostId === null ? null : await store.hosts.epoch(hostId),
    disks: (await records.list()).map(({ machineId }) => machineId),
    recorded: hostId === null ? [] : await idsOf(hostId),
    unowned: await idsOf(''),
    isAdopting,
  };
}

/** Whether the machines of the state directory are to be recorded anew. Raises `conflict` on a mismatch. */
export function requireIdentity(facts: IdentityFacts): boolean {
  const decided = decideIdentity(facts);
  if (decided.verdict !== 'refuse') return decided.verdict === 'adopt';
  throw new AppError('conflict', decided.message, { hint: decided.hint });
}

/** The same when there is no SQLite file. */
export async function factsWithoutFile(
  layout: StateLayout,
  records: MachineRecords,
  isAdopting: boolean,
): Promise<IdentityFacts> {
  return {
    epochInState: await readHostEpoch(layout),
    epochInDatabase: null,
    disks: (await records.list()).map(({ machineId }) => machineId),
    recorded: [],
    unowned: [],
    isAdopting,
  };
}

/** Before an SQLite file would be made: one that was there and is not any more is not made anew in silence. */
export async function requireFile(
  layout: StateLayout,
  records: MachineRecords,
  isAdopting: boolean,
): Promise<void> {
  if (isAdopting || (await exists(layout.database))) return;
  requireIdentity(await factsWithoutFile(layout, records, isAdopting));
}

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
