/**
 * What core remembers, in a database that Kysely speaks: behind `core/ports/store.ts`. Repositories are written once
 * for SQLite and PostgreSQL; what differs is in the adapter of an OpenDatabase. This room decides nothing about
 * machines; it refuses to keep or return one that breaks an invariant.
 */
import type { Repositories, Store } from '../core/ports/store.ts';
import { type Access, createAccess } from './access.ts';
import type { OpenDatabase } from './database.ts';
import { machineRepository } from './machines.ts';
import { migrate } from './migrate.ts';
import { operationRepository } from './operations.ts';
import { openSqlite } from './sqlite.ts';

/**
 * The store of a database whose schema is up to date; closing the store closes the database. Inside `transaction` only
 * the repositories it hands out may be used: the store's own raise InvariantError there, as they would wait for the
 * transaction to end. An error inside a transaction ends it; catching one to go on is not portable.
 */
export function createStore(database: OpenDatabase): Store {
  const access = createAccess(database);
  return {
    ...repositories(access),
    transaction: (work) => access.transaction((inner) => work(repositories(inner))),
    close: () => access.close(),
  };
}

/** Opens or makes the database file, brings its schema up to date, and gives its store. */
export async function openSqliteStore(path: string): Promise<Store> {
  const database = await openSqlite(path);
  try {
    await migrate(database.db);
  } catch (error) {
    await database.close();
    throw error;
  }
  return createStore(database);
}

function repositories(access: Access): Repositories {
  return { machines: machineRepository(access), operations: operationRepository(access) };
}
