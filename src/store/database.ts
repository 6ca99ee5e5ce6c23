/** An open database: what a driver gives the store, and the one error that repositories put into words of their own. */
import type { Kysely } from 'kysely';
import type { Database } from './schema.ts';

/**
 * A database whose write transactions are serialised with one another and durable when their promise resolves. A
 * transaction of access mode `read only` sees one moment and waits for nobody. Its errors are ours: DuplicateError;
 * AppError `exhausted` when the disk is full, `unavailable` when it cannot be reached or others keep it locked.
 */
export interface OpenDatabase {
  readonly db: Kysely<Database>;
  /** Harmless when closed. Ends a transaction under way without committing it. */
  close(): Promise<void>;
}

/** A database's error in our words; null when it means nothing beyond its own. */
export type Explain = (error: unknown) => Error | null;

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
