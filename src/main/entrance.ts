/**
 * Opens the database of a state directory, after checking that they belong together. Changes neither before
 * that.
 */
import type { IdentityFacts } from '../core/hosts/identity.ts';
import type { HostClaim, Store } from '../core/ports/store.ts';
import type { Logger } from '../lib/log.ts';
import type { RecordFiles } from '../storage/disks/records.ts';
import type { StateLayout } from '../storage/layout.ts';
import { openStore } from '../store/store.ts';
import type { Config } from './config.ts';
import { loadHostId, readBootIdBefore, readHostEpoch } from './host-id.ts';
import { readIdentityFacts, requireFile, requireIdentity } from './identity.ts';

export interface Entrance {
  readonly store: Store;
  readonly hostId: string;
  /** Whether to adopt the machines of the state directory. */
  readonly isToAdopt: boolean;
  /** The earlier values that the host's claim needs. */
  readonly before: Required<Pick<HostClaim, 'bootIdBefore' | 'epochBefore' | 'unowned'>>;
}

/**
 * Raises `conflict` when the database does not belong here or another daemon has the host, and the errors of
 * `openStore`.
 */
export async function enterState(
  { databaseUrl }: Pick<Config, 'databaseUrl'>,
  layout: StateLayout,
  records: RecordFiles,
  log: Logger,
  isAdopting: boolean,
): Promise<Entrance> {
  if (databaseUrl === null) await requireFile(layout, records, isAdopting);
  let isToAdopt = false;
  let unowned: Entrance['before']['unowned'] = 'all';
  const store = await openStore({
    path: layout.database,
    reservePath: layout.reserveFile,
    log,
    ...(databaseUrl === null ? {} : { databaseUrl }),
    admit: async (contents) => {
      const facts = await readIdentityFacts(contents, layout, records, isAdopting);
      isToAdopt = requireIdentity(facts);
      // A shared database may contain unowned machines of other hosts.
      if (databaseUrl !== null && !isAdopting) unowned = unownedHere(facts, log);
    },
  });
  try {
    const hostId = await loadHostId(layout);
    await store.holdHost(hostId);
    const epochBefore = (await readHostEpoch(layout)) ?? 0;
    const before = { bootIdBefore: await readBootIdBefore(layout), epochBefore, unowned };
    return { store, hostId, isToAdopt, before };
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** The unowned machines whose disk is on this host. */
function unownedHere({ disks, unowned }: IdentityFacts, log: Logger): readonly string[] {
  const here = new Set(disks.map(({ machineId }) => machineId));
  const ids = unowned.map(({ id }) => id);
  const mine = ids.filter((id) => here.has(id));
  const count = ids.length - mine.length;
  const hint = 'they are left to the host that has their disks; with --adopt-state this one takes them';
  if (count > 0)
    log.warn({ count, hint }, 'machines of an earlier version belong to no host and have no disk here');
  return mine;
}
