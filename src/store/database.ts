/** An open database, and what cannot be hidden behind one set of queries. */
import type { Kysely } from 'kysely';
import type { Database } from './schema.ts';

/** What a database's error means to us. */
export type DatabaseFault =
  /** A unique index forbade the row; `columns` are those of the index, in its order. */
  | { readonly kind: 'duplicate'; readonly table: string; readonly columns: readonly string[] }
  | { readonly kind: 'full' }
  | { readonly kind: 'busy' };

export interface DatabaseAdapter {
  /** Null when the error has no meaning beyond its words. */
  explain(error: unknown): DatabaseFault | null;
}

/** A connection that serialises its write transactions; every commit is durable when its promise resolves. */
export interface OpenDatabase {
  readonly db: Kysely<Database>;
  readonly adapter: DatabaseAdapter;
  /** Harmless when closed. Ends a transaction under way without committing it. */
  close(): Promise<void>;
}

/** A unique index forbade the row. Repositories turn it into their own words. */
export class DuplicateError extends Error {
  override readonly name = 'DuplicateError';
  readonly table: string;
  readonly columns: readonly string[];

  constructor(table: string, columns: readonly string[], cause: unknown) {
    super(`duplicate ${columns.join(', ')} in ${table}`, { cause });
    this.table = table;
    this.columns = columns;
  }

  /** Whether the index is the one on exactly these columns. */
  isOn(...columns: readonly string[]): boolean {
    return this.columns.join() === columns.join();
  }
}
