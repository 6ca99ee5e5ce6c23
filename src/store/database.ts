/** An open database: what a driver gives the store, and the one error that repositories put into words of their own. */
import type { Kysely } from 'kysely';
import { AppError } from '../core/errors.ts';
import type { RemoteBell } from './doorbell.ts';
import type { Database } from './schema.ts';

/**
 * A database whose write transactions are durable when their promise resolves. A transaction of access mode `read only`
 * sees one moment and waits for nobody. Its errors are ours: DuplicateError; DiskFullError; ContentionError; AppError
 * `unavailable` when it cannot be reached or others keep it locked; CommitUnknownError.
 */
export interface OpenDatabase {
  /** For what writes. */
  readonly db: Kysely<Database>;
  /** For what only reads: sees all that was committed before the read began. May be the same. */
  readonly reads: Kysely<Database>;
  /**
   * How many transactions of this process write at once. More than one: they are kept apart by the locks they take
   * (locks.ts). One: nobody writes beside a transaction, and there are no such locks.
   */
  readonly writersMax: number;
  /** Nobody but this process writes to it while it is open. */
  readonly isOurs: boolean;
  /** When other processes write to it as well. */
  readonly bell?: RemoteBell;
  /** When another daemon could take a host that this one has: keeps it out while the database is open; `conflict`. */
  readonly holdHost?: (hostId: string) => Promise<void>;
  /** When the database shares its disk with others. */
  readonly reserve?: SpaceReserve;
  /** Harmless when closed. Ends a transaction under way without committing it. */
  close(): Promise<void>;
}

/** Finds disk space for writes when there is none. Never fails; calls must not overlap. */
export interface SpaceReserve {
  /** Before a write: gives some up when the disk is nearly full, keeps some again when there is plenty. */
  prepare(): Promise<void>;
  /** After a DiskFullError: gives some up, so that the write may be tried again; false when there is none left. */
  giveUp(): Promise<boolean>;
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

/** The database ended one of several transactions that waited for one another; all of it may be run again. */
export class ContentionError extends AppError {
  constructor(cause: unknown) {
    super('unavailable', 'others kept changing the same records', { cause, hint: 'try again' });
  }
}

/** `exhausted`: no space for the write on the database's disk. */
export class DiskFullError extends AppError {
  constructor(cause: unknown) {
    super('exhausted', 'no space left on the disk that holds the database', {
      cause,
      hint: 'free some space in the state directory, or delete machines',
    });
  }
}
