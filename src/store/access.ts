/**
 * How repositories reach the database: one statement, or several that happen wholly or not at all. The outer access
 * opens a transaction for the latter; the inner one is inside a transaction already. Database errors leave here in
 * our words.
 *
 * There is one connection, so using the outer access inside a transaction would wait for itself for ever. The
 * asynchronous context tells, and it becomes a defect at once instead.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Kysely } from 'kysely';
import { AppError } from '../core/errors.ts';
import { invariant } from '../lib/invariant.ts';
import { type DatabaseAdapter, DuplicateError, type OpenDatabase } from './database.ts';
import type { Database } from './schema.ts';

export type Work<T> = (db: Kysely<Database>) => Promise<T>;

/** Raises DuplicateError; AppError `exhausted` when the disk is full, `unavailable` when closed or locked by others. */
export interface Access {
  /** For one statement. */
  run<T>(work: Work<T>): Promise<T>;
  /** For several statements; serialised with every other write. */
  atomically<T>(work: Work<T>): Promise<T>;
}

export interface OuterAccess extends Access {
  /** Runs `work` with an access that is inside one transaction. */
  transaction<T>(work: (inner: Access) => Promise<T>): Promise<T>;
  /** Refuses new work, waits for what is under way, then closes the database. Harmless when closed. */
  close(): Promise<void>;
}

interface TransactionMark {
  isOpen: boolean;
}

export function createAccess({ db, adapter, close }: OpenDatabase): OuterAccess {
  const marks = new AsyncLocalStorage<TransactionMark>();
  let closing: Promise<void> | null = null;

  const enter = () => {
    invariant(
      marks.getStore()?.isOpen !== true,
      'the store was used inside its own transaction; use the repositories the transaction was given',
    );
    if (closing !== null) throw new AppError('unavailable', 'the store is closed');
  };

  const atomically = async <T>(work: Work<T>): Promise<T> => {
    enter();
    const mark: TransactionMark = { isOpen: true };
    try {
      return await marks.run(mark, () => translated(adapter, () => db.transaction().execute(work)));
    } finally {
      // What `work` left running keeps this context; from here on it is outside.
      mark.isOpen = false;
    }
  };

  return {
    run: async (work) => {
      enter();
      return translated(adapter, () => work(db));
    },
    atomically,
    transaction: (work) => atomically((tx) => work(innerAccess(tx, adapter))),
    close: () => {
      // A turn on the only connection comes after everything that asked for it before.
      closing ??= db
        .connection()
        .execute(async () => undefined)
        .then(close);
      return closing;
    },
  };
}

function innerAccess(tx: Kysely<Database>, adapter: DatabaseAdapter): Access {
  const run = <T>(work: Work<T>) => translated(adapter, () => work(tx));
  return { run, atomically: run };
}

async function translated<T>(adapter: DatabaseAdapter, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const fault = adapter.explain(error);
    switch (fault?.kind) {
      case 'duplicate':
        throw new DuplicateError(fault.table, fault.columns, error);
      case 'full':
        throw new AppError('exhausted', 'no space left on the disk that holds the database', {
          cause: error,
          hint: 'free some space in the state directory',
        });
      case 'busy':
        throw new AppError('unavailable', 'another program keeps the database locked', { cause: error });
      default:
        throw error;
    }
  }
}
