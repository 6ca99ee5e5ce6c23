/** Refuses a database that does not belong to the state directory, before anything is changed in either. */
import { AppError } from '../core/errors.ts';
import { decideIdentity, type IdentityFacts } from '../core/hosts/identity.ts';
import type { MachineRecords } from '../core/ports/records.ts';
import type { HostContents } from '../core/ports/store.ts';
import { exists } from '../lib/files.ts';
import type { StateLayout } from '../storage/layout.ts';
import { readHostEpoch, readHostId } from './host-id.ts';

/** The facts from both, read without changing them. Null: there is no database. */
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

/** Whether to adopt the machines of the state directory. Raises `conflict` on a mismatch. */
export function requireIdentity(facts: IdentityFacts): boolean {
  const decided = decideIdentity(facts);
  if (decided.verdict !== 'refuse') return decided.verdict === 'adopt';
  throw new AppError('conflict', decided.message, { hint: decided.hint });
}

/**
 * Called before a SQLite file would be made: a database that existed before must not be replaced silently by
 * an empty one.
 */
export async function requireFile(
  layout: StateLayout,
  records: Pick<MachineRecords, 'list'>,
  isAdopting: boolean,
): Promise<void> {
  if (isAdopting || (await exists(layout.database))) return;
  requireIdentity(await readIdentityFacts(null, layout, records, isAdopting));
}
