/**
 * How repositories reach the database: one reading statement (`read`), several that see the same moment
 * (`snapshot`), or an atomic write (`atomically`). The outer access opens transactions as needed; the inner
 * one is inside a transaction already.
 *
 * A limited number of writers run at once; the others wait here, before they take a connection, so that they
 * run in order of arrival and readers still find connections. Where several writers run, a repository uses
 * Locks to protect what it has read until its transaction ends. Using the outer access inside a transaction
 * would deadlock; the async context detects that and raises an InvariantError at once.
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

/** Raises the errors of OpenDatabase; `unavailable` also when closed or when too many writers wait. */
export interface Access {
  /** For a single statement that only reads. */
  read<T>(work: Work<T>): Promise<T>;
  /** For several statements that only read and must see the same moment. */
  snapshot<T>(work: Work<T>): Promise<T>;
  /**
   * For writes. The work is repeated when the disk was full and the reserve could be given up, and a few
   * times on a ContentionError. Raises `timeout` when it does not end.
   */
  atomically<T>(work: Work<T>): Promise<T>;
}

export interface OuterAccess extends Access {
  /**
   * Raises the errors that any use would raise: InvariantError inside a transaction, `unavailable` when
   * closed.
   */
  checkOutside(): void;
  /** Runs `work` with an access that is inside one transaction. */
  transaction<T>(work: (inner: Access) => Promise<T>): Promise<T>;
  /** Refuses new work, waits for running work, then closes the database. Idempotent. */
  close(): Promise<void>;
}

export interface AccessLimits {
  /** Limit for one transaction, once begun. Default 30 s. */
  readonly transactionMs?: number;
  /** Limit for waiting behind other writers. Default 60 s. */
  readonly queueMs?: number;
}

/** Far more than the number of machines on a host. */
const writersWaitingMax = 10_000;

/** Each deadlock lets one writer proceed, and rarely involves more than two. */
const contentionAttemptsMax = 10;

interface TransactionMark {
  isOpen: boolean;
}

/** `onCommitted` is called after each write, including one whose commit is uncertain. */
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

  /** Call only from an async function. */
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
      // Work that `work` left running keeps this context; from here on it counts as outside.
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
      // Also after an error: a commit whose answer was lost may have happened.
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
  const busy = () => new AppError('unavailable', 'too many writes are waiting', { hint: 'Try again later.' });
  if (writers.isFull) throw busy();
  const { signal, clear } = deadline(queueMs, busy);
  try {
    return await writers.acquire(signal);
  } finally {
    clear();
  }
}

/** Work that continues after its deadline finds its transaction ended. */
async function ended<T>(work: () => Promise<T>, transactionMs: number): Promise<T> {
  const { signal, clear } = deadline(
    transactionMs,
    () => new AppError('timeout', `transaction rolled back: it took longer than ${transactionMs} ms`),
  );
  try {
    return await abortable(work(), signal);
  } finally {
    clear();
  }
}
