/**
 * Messages to the thread that holds the writing connection (sqlite-worker.ts), and its answers: one per
 * request, in the order of the requests. Transactions are driven by the caller: one at a time, statement by
 * statement.
 */
import type { SQLInputValue } from 'node:sqlite';

export interface WorkerOptions {
  readonly path: string;
  readonly statementCountMax: number;
  /** How long a statement waits for another program's lock. */
  readonly busyTimeoutMs: number;
  /** The size to which a checkpoint truncates the write-ahead log after a burst. */
  readonly walBytesKept: number;
}

export type Request =
  | { readonly kind: 'run'; readonly sql: string; readonly parameters: readonly SQLInputValue[] }
  /** Does nothing without a transaction: SQLite rolls back by itself on some errors. */
  | { readonly kind: 'roll back' }
  | { readonly kind: 'close' };

export interface RequestMessage {
  readonly id: number;
  readonly request: Request;
}

/** The id of the first answer, which says whether the database could be opened. */
export const openingId = 0;

export type Answer =
  | {
      readonly id: number;
      readonly rows: readonly unknown[];
      /** Number of rows changed by a statement without results; null for one with results. */
      readonly changes: number | null;
    }
  | { readonly id: number; readonly failure: Failure };

/** An error in plain form, because its result code would be lost between threads. */
export interface Failure {
  readonly message: string;
  readonly errcode: number | null;
  readonly code: string | null;
}
