/**
 * AppError, the only error type that crosses rooms, and the closed list of its codes. A dialect maps each
 * code to its own status and text; nothing else decides what a caller sees.
 */

import { isTimeout } from '../lib/abort.ts';

export const errorCodes = [
  'invalid',
  'unauthenticated',
  'forbidden',
  'not_found',
  'conflict',
  'unsupported',
  'exhausted',
  'quota',
  'rate_limited',
  'timeout',
  'unavailable',
  'guest',
  'engine',
  'internal',
] as const;

/**
 * The kind of failure. `invalid`: the request is wrong · `conflict`: the state forbids it · `unsupported`:
 * this host cannot do it · `exhausted`: no disk, memory or slots left · `quota`: the
 * caller has as much as it may have · `rate_limited`: too many requests in a minute · `timeout`: a deadline passed ·
 * `unavailable`: try later · `guest`: the guest or its link failed · `engine`: the VMM failed · `internal`: a
 * bug of ours.
 */
export type ErrorCode = (typeof errorCodes)[number];

export interface AppErrorOptions {
  readonly cause?: unknown;
  /** What the caller can do about it; one sentence. */
  readonly hint?: string;
  /** Machine-readable facts; never secrets. */
  readonly details?: Readonly<Record<string, unknown>>;
  /** True when the request may have been carried out, so that repeating it may do it twice. */
  readonly isMaybeDone?: boolean;
  /** True when the reason will pass soon, so that repeating the request may succeed. */
  readonly isPassing?: boolean;
}

/** A failure with a code. `message` is safe to show a caller unless the code is `internal`. */
export class AppError extends Error {
  override readonly name: string = 'AppError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;
  readonly isMaybeDone: boolean;
  readonly isPassing: boolean;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.details = options.details;
    this.isMaybeDone = options.isMaybeDone ?? false;
    this.isPassing = options.isPassing ?? false;
  }
}

/**
 * The connection to the database was lost during a commit: all or nothing was committed, and only reading
 * again shows which.
 */
export class CommitUnknownError extends AppError {
  override readonly name = 'CommitUnknownError';

  constructor(cause?: unknown) {
    super('unavailable', 'the connection to the database was lost while changes were committed', {
      cause,
      hint: 'Check whether the change was made before you try again.',
      isMaybeDone: true,
    });
  }
}

/** A record cannot be read. Other records are not affected. */
export class DamagedRecordError extends AppError {
  override readonly name = 'DamagedRecordError';

  constructor(what: string, cause: unknown) {
    super('internal', `the record of ${what} is damaged`, {
      cause,
      hint: './flotilla doctor lists damaged records and what is wrong with them.',
    });
  }
}

export function isAppError(error: unknown, code?: ErrorCode): error is AppError {
  return error instanceof AppError && (code === undefined || error.code === code);
}

/**
 * Wraps any thrown value with what was being done (`open database /x` becomes `cannot open database /x: …`). An AppError
 * keeps its code, and a deadline that has passed is `timeout`.
 */
export function wrapError(error: unknown, doing: string, code: ErrorCode = 'internal'): AppError {
  if (error instanceof AppError) {
    const options: AppErrorOptions = {
      cause: error,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      ...(error.details === undefined ? {} : { details: error.details }),
      isMaybeDone: error.isMaybeDone,
      isPassing: error.isPassing,
    };
    return new AppError(error.code, `cannot ${doing}: ${error.message}`, options);
  }
  const message = `cannot ${doing}: ${error instanceof Error ? error.message : String(error)}`;
  return new AppError(isTimeout(error) ? 'timeout' : code, message, { cause: error });
}
