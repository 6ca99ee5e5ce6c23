/** OpenDatabase: what a driver gives the store; and the database errors that the store handles. */
import type { Kysely } from 'kysely';
import { AppError } from '../core/errors.ts';
import type { RemoteBell } from './doorbell.ts';
import type { Database } from './schema.ts';

/**
 * An open database. Write transactions are durable when their promise resolves. A `read only` transaction
 * sees one moment and waits for nobody. It raises DuplicateError, DiskFullError, ContentionError,
 * CommitUnknownError, and AppError `unavailable` when it is unreachable or locked by others.
 */
export interface OpenDatabase {
  /** For transactions that write. */
  readonly db: Kysely<Database>;
  /** For reads: sees everything committed before the read began. May be the same as `db`. */
  readonly reads: Kysely<Database>;
  /**
   * How many transactions of this process may write at once. If more than one, they are separated by the
   * locks that they take (locks.ts). If one, no locks are needed.
   */
  readonly writersMax: number;
  /** Whether only this process writes to it while it is open. */
  readonly isOurs: boolean;
  /** Set when other processes write to it as well. */
  readonly bell?: RemoteBell;
  /**
   * Set when another daemon could claim the same host: prevents that while the database is open. Raises
   * `conflict`.
   */
  readonly holdHost?: (hostId: string) => Promise<void>;
  /** Set when the database shares its disk with other files. */
  readonly reserve?: SpaceReserve;
  /** Idempotent. Ends a running transaction without committing it. */
  close(): Promise<void>;
}

/** Keeps disk space for writes on a full disk. Never fails; calls must not overlap. */
export interface SpaceReserve {
  /** Before a write: releases a part when the disk is nearly full, refills when there is plenty of space. */
  prepare(): Promise<void>;
  /** After a DiskFullError: releases a part so that the write can be retried; false when none is left. */
  giveUp(): Promise<boolean>;
}

/** Translates a database error; null when it needs no translation. */
export type Explain = (error: unknown) => Error | null;

/** A row violates a unique index. Repositories translate this into an error about their noun. */
export class DuplicateError extends Error {
  override readonly name = 'DuplicateError';
  readonly table: string;
  readonly columns: readonly string[];

  constructor(table: string, columns: readonly string[], cause: unknown) {
    super(`duplicate ${columns.join(', ')} in ${table}`, { cause });
    this.table = table;
    this.columns = columns;
  }

  /** Whether the index covers exactly these columns. */
  isOn(...columns: readonly string[]): boolean {
    return this.columns.join() === columns.join();
  }
}

/**
 * The database ended one of several transactions that waited for each other; the transaction may be repeated.
 */
export class ContentionError extends AppError {
  constructor(cause: unknown) {
    super('unavailable', 'others kept changing the same records', { cause, hint: 'Try again.' });
  }
}

/** `exhausted`: no space for the write on the database's disk. */
export class DiskFullError extends AppError {
  constructor(cause: unknown) {
    super('exhausted', 'no space left on the disk that holds the database', {
      cause,
      hint: 'Free some space on the disk of the state directory, or delete machines.',
    });
  }
}
