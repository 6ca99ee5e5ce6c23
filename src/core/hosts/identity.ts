/**
 * Whether a database belongs to a state directory. Both carry the host's id and count its daemons (the epoch), so that a
 * database that is lost, foreign, or an older copy is told from the right one before anything is done. Pure.
 */

export interface IdentityFacts {
  /** The latest epoch that the state directory knows; null when no daemon that notes it ran there. */
  readonly epochInState: number | null;
  /** The host's epoch in the database; null when the database does not know the host. */
  readonly epochInDatabase: number | null;
  /** Machines that have a disk in the state directory. */
  readonly disks: readonly string[];
  /** Machines that the database records for the host. */
  readonly recorded: readonly string[];
  /** Machines that it records for no host: a daemon of an earlier version made them. */
  readonly unowned: readonly string[];
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

function mismatch({ epochInState, epochInDatabase, ...machines }: IdentityFacts): string | null {
  const { disks, recorded, unowned } = machines;
  if (epochInState !== null) {
    if (epochInDatabase === null) return 'it does not know this host, whose daemons it should have counted';
    if (epochInDatabase < epochInState)
      return `it is an older copy, of daemon ${epochInDatabase}; the last one here was daemon ${epochInState}`;
    return null;
  }
  const here = new Set(disks);
  const known = [...recorded, ...unowned];
  if (disks.length > 0 && !known.some((id) => here.has(id)))
    return `it knows none of the ${disks.length} disks in it`;
  if (unowned.length > 0 && !unowned.some((id) => here.has(id)))
    return `it records ${unowned.length} machines of an earlier version, of which none has its disk here`;
  return null;
}
