/** What a transaction holds until it ends, so that what it read stays true while it decides and writes. */
import { type Kysely, sql } from 'kysely';
import type { LockRepository } from '../core/ports/store.ts';
import type { Access } from './access.ts';
import type { OpenDatabase } from './database.ts';

/**
 * Outside a transaction that writes, and where one writes at a time, both do nothing. Transactions that come to wait for
 * one another in a circle are begun anew.
 */
export interface Locks {
  /** The query with `for update`: its rows are held. For a row that is read to be changed. */
  rows<Q extends { forUpdate(): unknown }>(query: Q): Q;
  /**
   * Waits for whoever has the same name; those who share it do not wait for one another. For what no row stands for: a
   * count, the lowest free number.
   */
  name(name: string, mode?: 'alone' | 'shared'): Promise<void>;
}

/** Keeps our names apart from other programs' locks in the same database: 'FLOT'. */
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
