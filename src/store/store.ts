/**
 * The store: implements `core/ports/store.ts` on a database supported by Kysely. Repositories are written
 * once for SQLite and PostgreSQL; differences are in the drivers behind OpenDatabase. This room decides
 * nothing about machines; it only refuses to store or return one that violates an invariant.
 */
import type { HostContents, Repositories, Store } from '../core/ports/store.ts';
import { type Logger, silentLog } from '../lib/log.ts';
import { type Access, type AccessLimits, createAccess } from './access.ts';
import { allocationRepository } from './allocations.ts';
import { readContents } from './contents.ts';
import { Damage } from './damage.ts';
import type { OpenDatabase } from './database.ts';
import { Doorbell } from './doorbell.ts';
import { environmentRepository } from './environments.ts';
import { eventRepository } from './events.ts';
import { hostRepository } from './hosts.ts';
import { keyRepository } from './keys.ts';
import { lockRepository } from './locks.ts';
import { cachedMachines, MachineCache, notingWrites } from './machine-cache.ts';
import { machineRepository } from './machines.ts';
import { migrate, readVersion } from './migrate.ts';
import { operationRepository } from './operations.ts';
import { quotaRepository } from './quotas.ts';
import { Reserve } from './reserve.ts';
import { routeRepository } from './routes.ts';
import { snapshotRepository } from './snapshots.ts';
import { openSqlite } from './sqlite.ts';
import { sshKeyRepository } from './ssh-keys.ts';
import { templateRepository } from './templates.ts';

/**
 * The store of a migrated database; closing the store closes the database. Inside `transaction`, only the
 * given repositories may be used: the store's own raise InvariantError there, because they would deadlock. An
 * error inside a transaction ends it; catching it and continuing is not portable.
 */
export function createStore(
  database: OpenDatabase,
  limits?: AccessLimits,
  log: Pick<Logger, 'warn'> = silentLog,
): Store {
  const damage = new Damage(log);
  const doorbell = new Doorbell(database.bell);
  // In a later turn: a listener must not find a machine that the cache has not evicted yet.
  const access = createAccess(database, limits, () => void setImmediate(() => doorbell.ring()));
  const cache = new MachineCache();
  const outer = repositories(access, damage);
  return {
    ...outer,
    machines: database.isOurs ? cachedMachines(outer.machines, cache, access.checkOutside) : outer.machines,
    async transaction(work) {
      const written = new Set<string>();
      try {
        const result = await access.transaction((innerAccess) => {
          const inner = repositories(innerAccess, damage);
          return work({ ...inner, machines: notingWrites(inner.machines, (id) => written.add(id)) });
        });
        cache.forget(written);
        return result;
      } catch (error) {
        cache.forget(written, error);
        throw error;
      }
    },
    holdHost: async (hostId) => database.holdHost?.(hostId),
    onEvents: (listener) => doorbell.onRing(listener),
    close: async () => {
      // Refuses new work at once, even if closing the bell takes time.
      const closed = access.close();
      await doorbell.close();
      await closed;
    },
  };
}

/**
 * Location of the store: the PostgreSQL database named by `databaseUrl`, otherwise the SQLite file at `path`.
 */
export interface StorePlace {
  readonly databaseUrl?: string | undefined;
  readonly path: string;
  /** A file on the same disk that reserves space for the SQLite file; absent: no reserve. */
  readonly reservePath?: string | undefined;
  readonly log?: Pick<Logger, 'warn' | 'info'> | undefined;
  /** Called before anything is changed; if it raises, the database is closed unchanged. */
  readonly admit?:
    | ((contents: (hostId: string | null) => Promise<HostContents>) => Promise<void>)
    | undefined;
}

/**
 * Opens the database (a SQLite file is made if missing), migrates it, and returns its store. Raises `invalid`
 * for a URL that is not PostgreSQL's; `unavailable` when the database cannot be opened; `exhausted` when the
 * disk is full; `unsupported` when a newer program has used it; and the errors of `admit`. No error contains
 * the URL, which may hold a password.
 */
export async function openStore(place: StorePlace, limits?: AccessLimits): Promise<Store> {
  const { databaseUrl, path, reservePath, log = silentLog, admit } = place;
  const openFile = async () =>
    openSqlite(path, reservePath === undefined ? undefined : await Reserve.open({ path: reservePath, log }));
  // Loaded only when used: the client library takes 2 MiB of memory.
  const openServer = async (url: string) => (await import('./postgres.ts')).openPostgres(url);
  const database = await (databaseUrl ? openServer(databaseUrl) : openFile());
  try {
    const version = await readVersion(database);
    await admit?.((hostId) => readContents(database, version, hostId));
    await migrate(database);
  } catch (error) {
    await database.close();
    throw error;
  }
  return createStore(database, limits, log);
}

/** The store of the SQLite file at `path`; raises the errors of `openStore`. */
export function openSqliteStore(path: string, limits?: AccessLimits): Promise<Store> {
  return openStore({ path }, limits);
}

function repositories(access: Access, damage: Damage): Repositories {
  return {
    machines: machineRepository(access, damage),
    environments: environmentRepository(access, damage),
    operations: operationRepository(access, damage),
    keys: keyRepository(access, damage),
    templates: templateRepository(access, damage),
    snapshots: snapshotRepository(access, damage),
    routes: routeRepository(access, damage),
    quotas: quotaRepository(access),
    sshKeys: sshKeyRepository(access, damage),
    hosts: hostRepository(access),
    allocations: allocationRepository(access),
    events: eventRepository(access),
    locks: lockRepository(access),
  };
}
