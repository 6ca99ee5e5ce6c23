/**
 * The one error type that crosses rooms, and the closed list of its codes.
 * A dialect turns a code into its own status and words; nothing else may decide what a caller sees.
 */

export const errorCodes = [
  'invalid',
  'unauthenticated',
  'forbidden',
  'not_found',
  'conflict',
  'unsupported',
  'exhausted',
  'timeout',
  'unavailable',
  'guest',
  'engine',
  'internal',
] as const;

/**
 * What went wrong, in the words every room shares.
 * `invalid`: the request itself · `conflict`: the state forbids it · `unsupported`: this host cannot ·
 * `exhausted`: no room left (disk, memory, slots) · `timeout`: a deadline passed · `unavailable`: try later ·
 * `guest`: the guest or its link · `engine`: the VMM · `internal`: a defect of ours.
 */
export type ErrorCode = (typeof errorCodes)[number];

export interface AppErrorOptions {
  readonly cause?: unknown;
  /** What the caller can do about it, one sentence. */
  readonly hint?: string;
  /** Machine-readable facts; never secrets. */
  readonly details?: Readonly<Record<string, unknown>>;
  /** True: what was asked for may have been done, and asking again may do it twice. */
  readonly isMaybeDone?: boolean;
  /** True: the reason is about to pass, and the same request may succeed in a moment. */
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
 * The store was lost while a transaction was committed: it happened wholly or not at all, and only reading again tells
 * which.
 */
export class CommitUnknownError extends AppError {
  override readonly name = 'CommitUnknownError';

  constructor(cause?: unknown) {
    super('unavailable', 'the connection to the database was lost while changes were committed', {
      cause,
      hint: 'look whether the change was made before you try again',
      isMaybeDone: true,
    });
  }
}

/** What is recorded of something cannot be read; the rest is not touched by it. */
export class DamagedRecordError extends AppError {
  override readonly name = 'DamagedRecordError';

  constructor(what: string, cause: unknown) {
    super('internal', `the record of ${what} is damaged`, {
      cause,
      hint: './flotilla doctor lists damaged records and says what is wrong with them',
    });
  }
}

export function isAppError(error: unknown, code?: ErrorCode): error is AppError {
  return error instanceof AppError && (code === undefined || error.code === code);
}

/** Wraps anything thrown with what was being done; an AppError keeps its code. */
export function wrapError(error: unknown, doing: string, code: ErrorCode = 'internal'): AppError {
  if (error instanceof AppError) {
    const options: AppErrorOptions = {
      cause: error,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      ...(error.details === undefined ? {} : { details: error.details }),
      isMaybeDone: error.isMaybeDone,
      isPassing: error.isPassing,
    };
    return new AppError(error.code, `${doing}: ${error.message}`, options);
  }
  return new AppError(code, `${doing}: ${error instanceof Error ? error.message : String(error)}`, {
    cause: error,
  });
}
