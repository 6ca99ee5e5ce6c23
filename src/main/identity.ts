/** Refuses a database that does not belong to the state directory, before anything is done with either. */
import { AppError } from '../core/errors.ts';
import { decideIdentity, type IdentityFacts } from '../core/hosts/identity.ts';
import type { MachineRecords } from '../core/ports/records.ts';
import type { HostContents } from '../core/ports/store.ts';
import { exists } from '../lib/files.ts';
import type { StateLayout } from '../storage/layout.ts';
import { readHostEpoch, readHostId } from './host-id.ts';

/** What both say, read without a change to either. Null: there is no database. */
export async function readIdentityFacts(
  read: ((hostId: string | null) => Promise<HostContents>) | null,
  layout: StateLayout,
  records: Pick<MachineRecords, 'list'>,
  isAdopting: boolean,
): Promise<IdentityFacts> {
  const none = { hasHosts: false, epoch: null, recorded: [], unowned: [] };
  const { epoch, ...contents } = (await read?.(await readHostId(layout))) ?? none;
  return {
    epochInState: await readHostEpoch(layout),
    epochInDatabase: epoch,
    ...contents,
    disks: await records.list(),
    isAdopting,
  };
}

/** Whether the machines of the state directory are to be recorded anew. Raises `conflict` on a mismatch. */
export function requireIdentity(facts: IdentityFacts): boolean {
  const decided = decideIdentity(facts);
  if (decided.verdict !== 'refuse') return decided.verdict === 'adopt';
  throw new AppError('conflict', decided.message, { hint: decided.hint });
}

/** Before an SQLite file would be made: one that was there and is not any more is not made anew in silence. */
export async function requireFile(
  layout: StateLayout,
  records: Pick<MachineRecords, 'list'>,
  isAdopting: boolean,
): Promise<void> {
  if (isAdopting || (await exists(layout.database))) return;
  requireIdentity(await readIdentityFacts(null, layout, records, isAdopting));
}
