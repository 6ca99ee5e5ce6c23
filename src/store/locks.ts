/**
 * Locks that a transaction holds until it ends, so that what it has read stays true while it decides and
 * writes.
 */
import { type Kysely, sql } from 'kysely';
import type { LockRepository } from '../core/ports/store.ts';
import type { Access } from './access.ts';
import type { OpenDatabase } from './database.ts';

/**
 * Both do nothing outside writing transactions and on databases with a single writer. Transactions that
 * deadlock are retried.
 */
export interface Locks {
  /** Adds `for update` to the query: locks its rows. For a row that is read in order to change it. */
  rows<Q extends { forUpdate(): unknown }>(query: Q): Q;
  /**
   * Locks a name: waits for other holders, unless both share it. For things without a row, such as a count or
   * the lowest free number.
   */
  name(name: string, mode?: 'alone' | 'shared'): Promise<void>;
}

/** Separates our names from other programs' locks in the same database: 'FLOT'. */
const nameSeed = 0x46_4c_4f_54;

export const noLocks: Locks = { rows: (query) => query, name: async () => undefined };

/** The locks of a transaction that writes to `database`. */
export function locksIn<T>(tx: Kysely<T>, { writersMax }: Pick<OpenDatabase, 'writersMax'>): Locks {
  if (writersMax === 1) return noLocks;
  return {
    rows: <Q extends { forUpdate(): unknown }>(query: Q) => query.forUpdate() as Q,
    name: async (name, mode = 'alone') => {
      const key = sql`hashtextextended(${name}, ${nameSeed})`;
      const lock =
        mode === 'alone' ? sql`pg_advisory_xact_lock(${key})` : sql`pg_advisory_xact_lock_shared(${key})`;
      await sql`select ${lock}`.execute(tx);
    },
  };
}

export function lockRepository(access: Access): LockRepository {
  return {
    hold: (name) => access.read((_, locks) => locks.name(name)),
    share: (name) => access.read((_, locks) => locks.name(name, 'shared')),
  };
}
