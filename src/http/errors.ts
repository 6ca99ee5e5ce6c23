/**
 * The HTTP statuses of core's error codes, and the neutral body used by dialects without their own format. A
 * dialect may choose another status or text, but never invents a code.
 */
import { HTTPException } from 'hono/http-exception';
import { AppError, type ErrorCode } from '../core/errors.ts';
import { isTimeout } from '../lib/abort.ts';
import { sentence } from '../lib/sentence.ts';

export const statusOfCode = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  unsupported: 400,
  exhausted: 503,
  quota: 403,
  rate_limited: 429,
  timeout: 504,
  unavailable: 503,
  guest: 502,
  engine: 500,
  internal: 500,
} as const satisfies Record<ErrorCode, number>;

export type ErrorStatus = (typeof statusOfCode)[ErrorCode] | 405 | 408 | 410 | 413 | 415 | 416 | 422 | 426;

/**
 * Statuses for input that never reaches the application: not HTTP, headers too slow or too large, an unknown
 * expectation.
 */
export type RefusalStatus = 400 | 408 | 417 | 431;

export interface ErrorAnswer {
  readonly status: ErrorStatus;
  /** Sent as JSON. */
  readonly body: object;
}

const retryableCodes: readonly ErrorCode[] = ['exhausted', 'rate_limited', 'timeout', 'unavailable', 'guest'];

/** Whether the same request may be repeated and may succeed later. */
export function isRetryable({ code, isMaybeDone, isPassing }: AppError): boolean {
  if (isMaybeDone) return false;
  if (isPassing) return true;
  return retryableCodes.includes(code);
}

/** A body over the limit. */
export class BodyTooLarge extends AppError {
  constructor(bytesMax: number) {
    super('invalid', `request body is larger than ${bytesMax} bytes`, {
      hint: 'Send less in one request.',
    });
  }
}

/** A body that does not arrive in time. */
export class BodyTooSlow extends AppError {
  constructor(deadlineMs: number) {
    super('timeout', `the request body did not arrive within ${deadlineMs / 1000} seconds`, {
      hint: 'Send the whole body at once.',
    });
  }
}

/** A request that cannot be parsed at all, in contrast to one with invalid fields. */
export class BadRequest extends AppError {
  constructor(message: string, hint: string) {
    super('invalid', message, { hint });
  }
}

/** A body in an unsupported form, whatever its content. */
export class UnsupportedMediaType extends AppError {
  constructor(message: string, hint: string) {
    super('unsupported', message, { hint });
  }
}

/** A plain request to an address that only speaks WebSocket, or one for another version of it. */
export class UpgradeRequired extends AppError {
  constructor(message: string) {
    super('invalid', message, { hint: 'Open it with a WebSocket client (RFC 6455); see docs/terminal.md.' });
  }
}

/** A range that is not in the content, which has `bytes`. */
export class RangeNotSatisfiable extends AppError {
  readonly bytes: number;

  constructor(range: string, bytes: number) {
    super('invalid', `range '${range}' is outside of the file, which has ${bytes} bytes`);
    this.bytes = bytes;
  }
}

/** What to do about a body that cannot be parsed. */
export const oneJsonValue = 'Send one JSON object, such as {}.';

/** A path that exists, but not with this method. For dialects that distinguish the two. */
export class MethodNotAllowed extends AppError {
  readonly allowed: readonly string[];

  constructor(method: string, path: string, allowed: readonly string[]) {
    super('not_found', `Route ${method} ${path} not found`);
    this.allowed = allowed;
  }
}

export function statusOf(error: AppError): ErrorStatus {
  if (error instanceof BodyTooLarge) return 413;
  if (error instanceof BodyTooSlow) return 408;
  if (error instanceof UnsupportedMediaType) return 415;
  if (error instanceof RangeNotSatisfiable) return 416;
  if (error instanceof UpgradeRequired) return 426;
  return error instanceof MethodNotAllowed ? 405 : statusOfCode[error.code];
}

/** Converts anything thrown to an AppError; an unknown error is a bug of ours. */
export function toAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  if (isTimeout(thrown))
    return new AppError('timeout', 'the host did not answer in time', {
      cause: thrown,
      hint: 'Its disk or its engine may hang; ./flotilla doctor looks at both.',
    });
  if (thrown instanceof HTTPException && thrown.status === 400)
    return new BadRequest(thrown.message, oneJsonValue);
  return new AppError('internal', 'An unexpected error occurred', { cause: thrown });
}

/** A dialect's names of core's codes. */
export type ErrorWords = Readonly<Record<ErrorCode, string>>;

export const neutralWords: ErrorWords = {
  invalid: 'VALIDATION_ERROR',
  unauthenticated: 'UNAUTHORIZED',
  forbidden: 'FORBIDDEN',
  not_found: 'NOT_FOUND',
  conflict: 'CONFLICT',
  unsupported: 'BAD_REQUEST',
  exhausted: 'RESOURCE_EXHAUSTED',
  quota: 'QUOTA_EXCEEDED',
  rate_limited: 'RATE_LIMITED',
  timeout: 'TIMEOUT',
  unavailable: 'UNAVAILABLE',
  guest: 'GUEST_ERROR',
  engine: 'ENGINE_ERROR',
  internal: 'INTERNAL_ERROR',
};

/** The visible part of an error. */
export interface ErrorShape {
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly details?: object | undefined;
}

/** For what is wrong with a field: its message says what the field must be, the document shows all of them. */
const documentHint = 'GET /docs describes this request.';
const internalHint = 'The daemon’s log explains it; search for the request id.';

/** The neutral form of an error. The message of an internal error is never shown. */
export function neutralShape(error: AppError, words: ErrorWords = neutralWords): ErrorShape {
  const { code, message, hint } = error;
  if (code === 'internal')
    return { code: words.internal, message: 'An unexpected error occurred', hint: internalHint };
  return {
    code: error instanceof BadRequest || error instanceof UpgradeRequired ? 'BAD_REQUEST' : words[code],
    message,
    hint: hint ?? (code === 'invalid' ? documentHint : undefined),
  };
}

/** `{"error":{"code","message","request_id","retryable","hint","details"}}`, its texts in sentence case. */
export function neutralBody(
  { code, message, hint, details }: ErrorShape,
  requestId: string | null,
  retryable: boolean,
) {
  return {
    error: {
      code,
      message: sentence(message),
      ...(requestId ? { request_id: requestId } : {}),
      retryable,
      ...(hint ? { hint: sentence(hint) } : {}),
      ...(details ? { details } : {}),
    },
  };
}

/** An error in the neutral format. */
export function neutralError(error: AppError, requestId: string | null): ErrorAnswer {
  return { status: statusOf(error), body: neutralBody(neutralShape(error), requestId, isRetryable(error)) };
}

/** The body for a request that reached no route, because it is not HTTP or its headers do not arrive. */
export function neutralRefusal(status: RefusalStatus, requestId: string | null): string {
  const [code, message, hint] = refusals[status];
  return JSON.stringify(neutralBody({ code, message, hint }, requestId, status === 408));
}

const refusals: Readonly<Record<RefusalStatus, readonly [code: string, message: string, hint: string]>> = {
  400: [
    'BAD_REQUEST',
    'the request is not valid HTTP',
    'Speak HTTP/1.1; TLS ends at a proxy before the daemon.',
  ],
  408: ['TIMEOUT', 'the request’s headers did not arrive in time', 'Send them at once.'],
  417: ['BAD_REQUEST', 'only 100-continue can be expected', 'Leave out the header Expect.'],
  431: [
    'BAD_REQUEST',
    'the request’s headers are too large',
    'Send fewer or shorter headers, cookies for example.',
  ],
};
