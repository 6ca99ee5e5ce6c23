/** Core's error codes and their HTTP statuses: the one table. A dialect may say a status of its own; none invents a code. */
import { AppError, type ErrorCode } from '../core/errors.ts';

export const statusOfCode = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  unsupported: 400,
  exhausted: 503,
  timeout: 504,
  unavailable: 503,
  guest: 502,
  engine: 500,
  internal: 500,
} as const satisfies Record<ErrorCode, number>;

export type ErrorStatus = (typeof statusOfCode)[ErrorCode] | 408 | 413;

/** Whether the same request may succeed later without a change, and may be made again. */
export function isRetryable({ code, isMaybeDone }: AppError): boolean {
  if (isMaybeDone) return false;
  return code === 'exhausted' || code === 'timeout' || code === 'unavailable' || code === 'guest';
}

/** A body over the limit. */
export class BodyTooLarge extends AppError {
  constructor(bytesMax: number) {
    super('invalid', `request body is larger than ${bytesMax} bytes`);
  }
}

/** A body that does not come. */
export class BodyTooSlow extends AppError {
  constructor(deadlineMs: number) {
    super('timeout', `the request body did not arrive within ${deadlineMs / 1000} seconds`);
  }
}

/** These two have statuses of their own. */
export function statusOf(error: AppError): ErrorStatus {
  if (error instanceof BodyTooLarge) return 413;
  return error instanceof BodyTooSlow ? 408 : statusOfCode[error.code];
}
