import type { SchemaModule } from 'kysely';

/**
 * One step from an older schema to a newer one. Written with the schema builder only, so that it runs on SQLite and on
 * PostgreSQL; never changed once released.
 */
export interface Migration {
  /** 1, 2, 3…, without gaps. */
  readonly version: number;
  readonly name: string;
  /** Runs inside a transaction, together with the record that it ran. */
  up(schema: SchemaModule): Promise<void>;
}
