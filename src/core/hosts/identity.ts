/**
 * Decides whether a database belongs to a state directory. Both hold the host's id, the number of daemons so
 * far (the epoch), and the number of writes of each machine's record (the revision). So a lost, foreign or
 * outdated database is recognised before anything is changed. Pure.
 * Example: the state directory knows epoch 7, the database epoch 5 → refused as an older copy.
 */

import { type FoundRecord, revisionOf } from '../ports/records.ts';
import type { RecordedMachine } from '../ports/store.ts';

export interface IdentityFacts {
  /** The latest epoch in the state directory; null when no daemon that records it has run there. */
  readonly epochInState: number | null;
  /** The host's epoch in the database; null when the database does not know the host. */
  readonly epochInDatabase: number | null;
  /** Whether a daemon of this version, on any host, has used the database. */
  readonly hasHosts: boolean;
  /** The records beside the disks in the state directory. */
  readonly disks: readonly FoundRecord[];
  /** Machines that the database records for this host. */
  readonly recorded: readonly RecordedMachine[];
  /** Machines that the database records without a host: made by a daemon of an earlier version. */
  readonly unowned: readonly RecordedMachine[];
  /** Whether the operator asked for adoption (`--adopt-state`). */
  readonly isAdopting: boolean;
}

export type IdentityVerdict =
  | { readonly verdict: 'fits' }
  /** The database knows nothing of the host; its machines are read from the records beside the disks. */
  | { readonly verdict: 'adopt' }
  | { readonly verdict: 'refuse'; readonly message: string; readonly hint: string };

export function decideIdentity(facts: IdentityFacts): IdentityVerdict {
  const reason = mismatch(facts);
  if (reason === null) return { verdict: 'fits' };
  const isEmpty = facts.recorded.length === 0 && facts.unowned.length === 0;
  if (facts.isAdopting && isEmpty) return { verdict: 'adopt' };
  const wayOut = isEmpty
    ? 'or, if it is lost for good, start with --adopt-state to record the machines of the state directory again'
    : 'or move this one away and start with --adopt-state to record the machines of the state directory again';
  return {
    verdict: 'refuse',
    message: `the database does not belong to this state directory: ${reason}. No machine was touched`,
    hint: `Restore the right database (flotilla.db, or DATABASE_URL), ${wayOut}. ./flotilla doctor shows both.`,
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

/**
 * For state directories without an epoch: why the database does not match the disks here; null when it does.
 */
function strangeness({ hasHosts, disks, recorded, unowned }: IdentityFacts): string | null {
  const here = new Set(disks.map(({ machineId }) => machineId));
  const isHere = ({ id }: RecordedMachine) => here.has(id);
  if (disks.length > 0 && ![...recorded, ...unowned].some(isHere))
    return `it knows none of the ${disks.length} disks in it`;
  // A shared database may hold machines of hosts that have not been upgraded yet; leave those alone.
  if (!hasHosts && unowned.length > 0 && !unowned.some(isHere))
    return `it records ${unowned.length} machines of an earlier version, of which none has its disk here`;
  return null;
}

/**
 * A copy from the same daemon's time has the same epoch, but lower revisions than the records beside the
 * disks.
 */
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
