/**
 * What is said to the thread that holds the writing connection (sqlite-worker.ts), and what it answers: one answer to
 * each request, in the order of the requests. The transaction is the asker's: one at a time, its statements one by one.
 */
import type { SQLInputValue } from 'node:sqlite';

export interface WorkerOptions {
  readonly path: string;
  readonly statementCountMax: number;
  /** How long a statement waits for another program's lock. */
  readonly busyTimeoutMs: number;
  /** What a checkpoint leaves of the write-ahead log after a burst. */
  readonly walBytesKept: number;
}

export type Request =
  | { readonly kind: 'run'; readonly sql: string; readonly parameters: readonly SQLInputValue[] }
  /** Nothing when there is no transaction: SQLite rolls back by itself on some errors. */
  | { readonly kind: 'roll back' }
  | { readonly kind: 'close' };

export interface RequestMessage {
  readonly id: number;
  readonly request: Request;
}

/** The first answer, with this id, says that the database is open, or why it is not. */
export const openingId = 0;

export type Answer =
  | {
      readonly id: number;
      readonly rows: readonly unknown[];
      /** How many rows a statement without results changed; null for one with results. */
      readonly changes: number | null;
    }
  | { readonly id: number; readonly failure: Failure };

/** An error, which would lose its result code on the way. */
export interface Failure {
  readonly message: string;
  readonly errcode: number | null;
  readonly code: string | null;
}
