/** The one error type this client throws for anything but the caller's own abort. */

/** Codes of failures seen on this side of the wire; every other code is the server's. Their `status` is 0. */
export const clientErrorCodes = {
  /** No answer: refused, reset, no such host, not allowed by the browser. */
  unreachable: 'UNREACHABLE',
  /** The call's deadline passed here; the server may still be working on it. */
  timeout: 'CLIENT_TIMEOUT',
  /** An answer that is not this API's. */
  badResponse: 'BAD_RESPONSE',
  /** Refused before anything was sent. */
  invalid: 'INVALID_ARGUMENT',
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
  /** What to do about it, in the server's words. */
  readonly hint: string | undefined;
  /** Names this request in the server's log. */
  readonly requestId: string | undefined;
  readonly details: unknown;
  /** How long the server asks to be left alone. */
  readonly retryAfterMs: number | undefined;
  /** Whether the same request may succeed later, in the server's words; undefined when it did not say. */
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

/** The error an answer of 4xx or 5xx stands for; a body that is not the API's own is summed up by its status. */
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

/** What `fetch` threw, in words that name the reason and not the library. */
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
const noWay = 'the network has no way to it';
const noName = 'there is no host of that name';
const reasons: ReadonlyMap<string, string> = new Map([
  ['EAI_AGAIN', 'its name cannot be looked up now'],
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

/** The innermost reason of what a network call threw: in words, and the system's code behind them if there is one. */
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
    // A proxy's HTML page, or nothing: the status says what there is to say.
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
