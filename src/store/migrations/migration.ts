import type { Kysely } from 'kysely';

/** A database of which nothing is known yet. */
export type NoTables = Kysely<Record<never, never>>;

/**
 * One step from an older schema to a newer one, rows included. Written with Kysely's builders and SQL that SQLite and
 * PostgreSQL share, so that it runs on both; never changed once released.
 */
export interface Migration {
  /** 1, 2, 3…, without gaps. */
  readonly version: number;
  readonly name: string;
  /**
   * Runs inside the transaction in which the record that it ran is written. The tables are those of the versions
   * before, not those of `schema.ts`: a migration that moves rows names their columns itself, with `$extendTables`,
   * and uses none of the program's own encoders, which change.
   */
  up(tx: NoTables): Promise<void>;
}
