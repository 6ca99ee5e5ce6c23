/**
 * How repositories reach the database: by a statement that reads, by several that read one moment, or by statements
 * that write, wholly or not at all. The outer access opens a transaction where one is needed; the inner one is inside
 * a transaction already.
 *
 * As many write at once as the database takes; the others wait here, before they take a connection, so that the order
 * is that of arrival and readers find a connection. Where several write, a repository says with Locks what nobody else
 * may change until its transaction ends. Using the outer access inside a transaction would wait for that transaction for ever; the
 * asynchronous context tells, and it becomes a defect at once instead.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Kysely } from 'kysely';
import { AppError } from '../core/errors.ts';
import { abortable, deadline } from '../lib/abort.ts';
import { invariant } from '../lib/invariant.ts';
import { Limiter } from '../lib/limiter.ts';
import { ContentionError, DiskFullError, type OpenDatabase } from './database.ts';
import { type Locks, locksIn, noLocks } from './locks.ts';
import type { Database } from './schema.ts';

export type Work<T> = (db: Kysely<Database>, locks: Locks) => Promise<T>;

/** Raises what OpenDatabase says, `unavailable` also when closed or when too many wait to write. */
export interface Access {
  /** For one statement that only reads. */
  read<T>(work: Work<T>): Promise<T>;
  /** For several statements that only read and must speak of the same moment. */
  snapshot<T>(work: Work<T>): Promise<T>;
  /**
   * For whatever writes. The work is begun anew when the disk was full and space could be given up for it, and, a few
   * times, on a ContentionError. `timeout` when it does not end.
   */
  atomically<T>(work: Work<T>): Promise<T>;
}

export interface OuterAccess extends Access {
  /** Raises what any use would raise by itself: InvariantError inside a transaction, `unavailable` when closed. */
  checkOutside(): void;
  /** Runs `work` with an access that is inside one transaction. */
  transaction<T>(work: (inner: Access) => Promise<T>): Promise<T>;
  /** Refuses new work, waits for what is under way, then closes the database. Harmless when closed. */
  close(): Promise<void>;
}

export interface AccessLimits {
  /** How long the work of one transaction may take, once begun. Default 30 s. */
  readonly transactionMs?: number;
  /** How long a writer waits for those before it. Default 60 s. */
  readonly queueMs?: number;
}

/** Far more than a host has machines. */
const writersWaitingMax = 10_000;

/** Of those that wait for one another in a circle one goes on each time, and hardly ever are there more than two. */
const contentionAttemptsMax = 10;

interface TransactionMark {
  isOpen: boolean;
}

/** `onCommitted` is called after each write, and after one that may have been made. */
export function createAccess(
  database: OpenDatabase,
  limits: AccessLimits = {},
  onCommitted: () => void = () => undefined,
): OuterAccess {
  const { db, reads, close, reserve, writersMax } = database;
  const { transactionMs = 30_000, queueMs = 60_000 } = limits;
  const marks = new AsyncLocalStorage<TransactionMark>();
  const writers = new Limiter(writersMax, writersWaitingMax);
  const underWay = new Set<Promise<unknown>>();
  let closing: Promise<void> | null = null;

  const checkOutside = () => {
    invariant(
      marks.getStore()?.isOpen !== true,
      'the store was used inside its own transaction; use the repositories the transaction was given',
    );
    if (closing !== null) throw new AppError('unavailable', 'the store is closed');
  };

  /** Only from an async function. */
  const enter = <T>(work: () => Promise<T>): Promise<T> => {
    checkOutside();
    const promise = work();
    underWay.add(promise);
    const forget = () => underWay.delete(promise);
    promise.then(forget, forget);
    return promise;
  };

  const attempt = async <T>(work: Work<T>): Promise<T> => {
    const mark: TransactionMark = { isOpen: true };
    try {
      return await marks.run(mark, () =>
        db.transaction().execute((tx) => ended(() => work(tx, locksIn(tx, database)), transactionMs)),
      );
    } finally {
      // What `work` left running keeps this context; from here on it is outside.
      mark.isOpen = false;
    }
  };

  const write = async <T>(work: Work<T>): Promise<T> => {
    const release = await waitToWrite(writers, queueMs);
    try {
      await reserve?.prepare();
      for (let attempts = 1; ; attempts++) {
        try {
          return await attempt(work);
        } catch (error) {
          const mayRetry =
            error instanceof ContentionError
              ? attempts < contentionAttemptsMax
              : error instanceof DiskFullError && (await reserve?.giveUp());
          if (!mayRetry) throw error;
        }
      }
    } finally {
      release();
      // Also when it failed: a commit whose answer was lost may have been made.
      onCommitted();
    }
  };

  return {
    checkOutside,
    read: async (work) => enter(() => work(reads, noLocks)),
    snapshot: async (work) =>
      enter(() =>
        reads
          .transaction()
          .setIsolationLevel('repeatable read')
          .setAccessMode('read only')
          .execute((tx) => work(tx, noLocks)),
      ),
    atomically: async (work) => enter(() => write(work)),
    transaction: async (work) => enter(() => write((tx, locks) => work(innerAccess(tx, locks)))),
    close: () => {
      closing ??= Promise.allSettled(underWay).then(close);
      return closing;
    },
  };
}

function innerAccess(tx: Kysely<Database>, locks: Locks): Access {
  const inside = async <T>(work: Work<T>) => work(tx, locks);
  return { read: inside, snapshot: inside, atomically: inside };
}

async function waitToWrite(writers: Limiter, queueMs: number): Promise<() => void> {
  const busy = () => new AppError('unavailable', 'too much waits to be written', { hint: 'try again later' });
  if (writers.isFull) throw busy();
  const { signal, clear } = deadline(queueMs, busy);
  try {
    return await writers.acquire(signal);
  } finally {
    clear();
  }
}

/** Work that goes on after its deadline finds its transaction ended. */
async function ended<T>(work: () => Promise<T>, transactionMs: number): Promise<T> {
  const { signal, clear } = deadline(
    transactionMs,
    () => new AppError('timeout', `a transaction was rolled back: it was not done after ${transactionMs} ms`),
  );
  try {
    return await abortable(work(), signal);
  } finally {
    clear();
  }
}
