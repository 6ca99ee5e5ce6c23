/**
 * What core remembers, in a database that Kysely speaks: behind `core/ports/store.ts`. Repositories are written once
 * for SQLite and PostgreSQL; what differs is in the driver behind an OpenDatabase. This room decides nothing about
 * machines; it refuses to keep or return one that breaks an invariant.
 */
import type { HostContents, Repositories, Store } from '../core/ports/store.ts';
import { type Logger, silentLog } from '../lib/log.ts';
import { type Access, type AccessLimits, createAccess } from './access.ts';
import { allocationRepository } from './allocations.ts';
import { readContents } from './contents.ts';
import { Damage } from './damage.ts';
import type { OpenDatabase } from './database.ts';
import { Doorbell } from './doorbell.ts';
import { eventRepository } from './events.ts';
import { hostRepository } from './hosts.ts';
import { keyRepository } from './keys.ts';
import { lockRepository } from './locks.ts';
import { cachedMachines, MachineCache, notingWrites } from './machine-cache.ts';
import { machineRepository } from './machines.ts';
import { migrate, readVersion } from './migrate.ts';
import { operationRepository } from './operations.ts';
import { Reserve } from './reserve.ts';
import { openSqlite } from './sqlite.ts';

/**
 * The store of a database whose schema is up to date; closing the store closes the database. Inside `transaction` only
 * the repositories it hands out may be used: the store's own raise InvariantError there, as they would wait for the
 * transaction to end. An error inside a transaction ends it; catching one to go on is not portable.
 */
export function createStore(
  database: OpenDatabase,
  limits?: AccessLimits,
  log: Pick<Logger, 'warn'> = silentLog,
): Store {
  const damage = new Damage(log);
  const doorbell = new Doorbell(database.bell);
  // In a turn of its own: whoever is woken must not find what the cache has not forgotten yet.
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
      // Refuses new work from here on, whatever the bell takes to close.
      const closed = access.close();
      await doorbell.close();
      await closed;
    },
  };
}

/** Where the store is: the PostgreSQL database that `databaseUrl` names, else the SQLite file at `path`. */
export interface StorePlace {
  readonly databaseUrl?: string | undefined;
  readonly path: string;
  /** A file on the same disk that keeps space for the SQLite file; without it none is kept. */
  readonly reservePath?: string | undefined;
  readonly log?: Pick<Logger, 'warn' | 'info'> | undefined;
  /** Called before anything is changed; when it raises, the database is closed as it was. */
  readonly admit?:
    | ((contents: (hostId: string | null) => Promise<HostContents>) => Promise<void>)
    | undefined;
}

/**
 * Opens the place's database (making the file when it is one), brings its schema up to date, and gives its store.
 * `invalid` for a URL that is not PostgreSQL's; `unavailable` when the database cannot be opened; `exhausted` when the
 * disk is full; `unsupported` when a newer program has been there; what `admit` raises. No error repeats the URL, which may hold a password.
 */
export async function openStore(place: StorePlace, limits?: AccessLimits): Promise<Store> {
  const { databaseUrl, path, reservePath, log = silentLog, admit } = place;
  const openFile = async () =>
    openSqlite(path, reservePath === undefined ? undefined : await Reserve.open({ path: reservePath, log }));
  // Loaded by those alone who have one: the client library takes a daemon 2 MiB.
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

/** The store of the SQLite file at `path`; errors as `openStore` raises them. */
export function openSqliteStore(path: string, limits?: AccessLimits): Promise<Store> {
  return openStore({ path }, limits);
}

function repositories(access: Access, damage: Damage): Repositories {
  return {
    machines: machineRepository(access, damage),
    operations: operationRepository(access, damage),
    keys: keyRepository(access, damage),
    hosts: hostRepository(access),
    allocations: allocationRepository(access),
    events: eventRepository(access),
    locks: lockRepository(access),
  };
}
