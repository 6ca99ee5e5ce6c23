/** FlotillaError: the error that this client throws for everything except the caller's own abort. */

/** Codes of failures on the client's side; every other code comes from the server. Their `status` is 0. */
export const clientErrorCodes = {
  /** No answer: refused, reset, unknown host, or blocked by the browser. */
  unreachable: 'UNREACHABLE',
  /** The call's deadline passed in the client; the server may still be working on it. */
  timeout: 'CLIENT_TIMEOUT',
  /** An answer that does not come from this API. */
  badResponse: 'BAD_RESPONSE',
  /** Refused before anything was sent. */
  invalid: 'INVALID_ARGUMENT',
  /** The caller has left the session. */
  closed: 'CLOSED',
} as const;

export interface FlotillaErrorInit {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly requestId?: string | undefined;
  readonly details?: unknown;
  readonly retryAfterMs?: number | undefined;
  readonly retryable?: boolean | undefined;
  readonly cause?: unknown;
}

export class FlotillaError extends Error {
  /** The HTTP status, or 0 when there was no usable answer. */
  readonly status: number;
  readonly code: string;
  /** What to do about it; from the server. */
  readonly hint: string | undefined;
  /** The request's id in the server's log. */
  readonly requestId: string | undefined;
  readonly details: unknown;
  /** How long the server asks clients to wait before the next attempt. */
  readonly retryAfterMs: number | undefined;
  /** Whether the same request may succeed later, according to the server; undefined when it did not say. */
  readonly retryable: boolean | undefined;

  constructor(init: FlotillaErrorInit) {
    super(init.message, init.cause === undefined ? undefined : { cause: init.cause });
    this.name = 'FlotillaError';
    this.status = init.status;
    this.code = init.code;
    this.hint = init.hint;
    this.requestId = init.requestId;
    this.details = init.details;
    this.retryAfterMs = init.retryAfterMs;
    this.retryable = init.retryable;
  }
}

/**
 * Builds the error for a 4xx or 5xx answer. A body that is not the API's is replaced by a message with the
 * status.
 */
export function errorFromAnswer(status: number, headers: Headers, body: string): FlotillaError {
  const error = errorObject(body);
  return new FlotillaError({
    status,
    code: text(error.code) ?? `HTTP_${status}`,
    message: text(error.message) ?? `the server answered ${status}`,
    hint: text(error.hint),
    requestId: text(error.request_id) ?? headers.get('x-request-id') ?? undefined,
    details: error.details,
    retryAfterMs: retryAfterMs(headers),
    retryable: typeof error.retryable === 'boolean' ? error.retryable : undefined,
  });
}

/** Builds the error for an exception of `fetch`, naming its reason. */
export function unreachable(origin: string, thrown: unknown): FlotillaError {
  return new FlotillaError({
    status: 0,
    code: clientErrorCodes.unreachable,
    message: `cannot reach ${origin}: ${reasonOf(thrown)}`,
    cause: thrown,
  });
}

const broke = 'the connection to the daemon broke';
const late = 'the connection to the daemon timed out';
const noWay = 'the network has no route to it';
const noName = 'no host has that name';
const reasons: ReadonlyMap<string, string> = new Map([
  ['EAI_AGAIN', 'its name cannot be resolved at the moment'],
  ['ECONNABORTED', broke],
  ['ECONNREFUSED', 'the connection was refused'],
  ['ECONNRESET', broke],
  ['EHOSTUNREACH', noWay],
  ['ENETUNREACH', noWay],
  ['ENOTFOUND', noName],
  ['EPIPE', broke],
  ['ETIMEDOUT', late],
  ['UND_ERR_BODY_TIMEOUT', late],
  ['UND_ERR_CONNECT_TIMEOUT', late],
  ['UND_ERR_HEADERS_TIMEOUT', late],
  ['UND_ERR_SOCKET', broke],
]);

/** The innermost reason of a failed network call: in words, followed by the system's code if there is one. */
export function reasonOf(thrown: unknown): string {
  const cause = thrown instanceof Error && thrown.cause !== undefined ? thrown.cause : thrown;
  if (!(cause instanceof Error)) return String(cause);
  const code = 'code' in cause ? text(cause.code) : undefined;
  if (code === undefined) return cause.message;
  return `${reasons.get(code) ?? text(cause.message) ?? 'the connection failed'} (${code})`;
}

function errorObject(body: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(body);
    if (isRecord(parsed) && isRecord(parsed.error)) return parsed.error;
  } catch {
    // The body is a proxy's HTML page or empty; the status must do as the reason.
  }
  return {};
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function retryAfterMs(headers: Headers): number | undefined {
  const seconds = Number(headers.get('retry-after') ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined;
}
