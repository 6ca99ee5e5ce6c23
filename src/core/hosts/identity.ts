/**
 * Whether a database belongs to a state directory. Both carry the host's id and count its daemons (the epoch) and the writes of each
 * machine's record (the revision), so that a database that is lost, foreign, or an older copy is told from the right one before
 * anything is done. Pure.
 */

import { type FoundRecord, revisionOf } from '../ports/records.ts';
import type { RecordedMachine } from '../ports/store.ts';

export interface IdentityFacts {
  /** The latest epoch that the state directory knows; null when no daemon that notes it ran there. */
  readonly epochInState: number | null;
  /** The host's epoch in the database; null when the database does not know the host. */
  readonly epochInDatabase: number | null;
  /** The database has had a daemon of this version, of whatever host. */
  readonly hasHosts: boolean;
  /** Machines that have a disk in the state directory, as recorded beside it. */
  readonly disks: readonly FoundRecord[];
  /** Machines that the database records for the host. */
  readonly recorded: readonly RecordedMachine[];
  /** Machines that it records for no host: a daemon of an earlier version made them. */
  readonly unowned: readonly RecordedMachine[];
  /** The operator wants the machines of the state directory recorded anew. */
  readonly isAdopting: boolean;
}

export type IdentityVerdict =
  | { readonly verdict: 'fits' }
  /** Nothing is recorded; the records beside the disks take its place. */
  | { readonly verdict: 'adopt' }
  | { readonly verdict: 'refuse'; readonly message: string; readonly hint: string };

export function decideIdentity(facts: IdentityFacts): IdentityVerdict {
  const reason = mismatch(facts);
  if (reason === null) return { verdict: 'fits' };
  const isEmpty = facts.recorded.length === 0 && facts.unowned.length === 0;
  if (facts.isAdopting && isEmpty) return { verdict: 'adopt' };
  const wayOut = isEmpty
    ? 'or, when it is lost for good, start with --adopt-state to record the machines of the state directory anew'
    : 'or take this one away and start with --adopt-state to record the machines of the state directory anew';
  return {
    verdict: 'refuse',
    message: `the database does not belong to this state directory: ${reason}. No machine was touched`,
    hint: `Put the right database back (flotilla.db, or DATABASE_URL), ${wayOut}. ./flotilla doctor shows both.`,
  };
}

function mismatch(facts: IdentityFacts): string | null {
  const { epochInState, epochInDatabase } = facts;
  if (epochInState === null) return strangeness(facts) ?? staleness(facts);
  if (epochInDatabase === null) return 'it does not know this host, whose daemons it should have counted';
  if (epochInDatabase < epochInState)
    return `it is an older copy, of daemon ${epochInDatabase}; the last one here was daemon ${epochInState}`;
  return staleness(facts);
}

/** Where no daemon has noted anything yet: whether the database knows what is here. */
function strangeness({ hasHosts, disks, recorded, unowned }: IdentityFacts): string | null {
  const here = new Set(disks.map(({ machineId }) => machineId));
  const isHere = ({ id }: RecordedMachine) => here.has(id);
  if (disks.length > 0 && ![...recorded, ...unowned].some(isHere))
    return `it knows none of the ${disks.length} disks in it`;
  // A shared one may hold those of a host that has not been updated yet; they are left to it.
  if (!hasHosts && unowned.length > 0 && !unowned.some(isHere))
    return `it records ${unowned.length} machines of an earlier version, of which none has its disk here`;
  return null;
}

/** A copy of the same daemon's time counts as many daemons; what it says of a machine is older than what was kept beside its disk. */
function staleness({ disks, recorded, unowned }: IdentityFacts): string | null {
  const revisions = new Map([...recorded, ...unowned].map(({ id, revision }) => [id, revision]));
  for (const { machineId, machine } of disks) {
    const known = revisions.get(machineId);
    const kept = revisionOf(machine) ?? 0;
    if (known === undefined || kept <= known) continue;
    return `it is an older copy: it has revision ${known} of machine ${machineId}, whose record beside the disk has revision ${kept}`;
  }
  return null;
}
