import type { Kysely } from 'kysely';

/** A database whose tables are not known to the types. */
export type NoTables = Kysely<Record<never, never>>;

/**
 * One step from a schema to the next, including rows. Uses only Kysely's builders and SQL common to SQLite
 * and PostgreSQL, so that it runs on both. Never changed once released.
 */
export interface Migration {
  /** 1, 2, 3…, without gaps. */
  readonly version: number;
  readonly name: string;
  /**
   * Runs in the transaction that also records the migration. The tables are those of the version before, not
   * those of `schema.ts`: a migration that moves rows names their columns with `$extendTables` and uses none
   * of the program's encoders, because those change.
   */
  up(tx: NoTables): Promise<void>;
}
