/**
 * One HTTP call: address, key, deadline, errors, and safe retries. Knows nothing about machines, images or
 * keys.
 */
import { sleep, withDeadline } from './abort.ts';
import { clientErrorCodes, errorFromAnswer, FlotillaError, reasonOf, unreachable } from './errors.ts';
import { openWebSocket, type SocketFactory, type SocketLike } from './socket.ts';

export type FetchLike = (url: string, init: RequestInit) => Promise<Response>;

/** Options of every call. */
export interface CallOptions {
  /** Aborting ends the call with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Ends the call with `CLIENT_TIMEOUT`. Includes retries and reading the answer. */
  readonly timeoutMs?: number | undefined;
}

/** One that is an array is given once for each of its items. */
export type QueryValue = string | number | boolean | readonly string[];

export interface Call {
  readonly method: string;
  /** Starts with a slash; ids in it are already encoded. */
  readonly path: string;
  readonly query?: Readonly<Record<string, QueryValue | undefined>> | undefined;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent unchanged, instead of `body`. */
  readonly upload?: Upload | undefined;
  readonly accept?: string | undefined;
  /** Further headers, with names in lower case. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Whether the request may be sent again when it is unknown whether it was served. */
  readonly isRepeatable: boolean;
}

export interface Upload {
  readonly bytes: ReadableStream<Uint8Array> | Blob;
  readonly mediaType: string;
}

export interface TransportOptions {
  /** The daemon's address, such as `http://127.0.0.1:3000`; a path in it is kept as a prefix. */
  readonly url: string;
  /** The bearer key; omit it where the server requires none. */
  readonly key?: string | undefined;
  readonly fetch?: FetchLike | undefined;
  /** Opens WebSockets, for terminals. Default: the runtime's own; Node has one since version 22. */
  readonly openSocket?: SocketFactory | undefined;
}

/** A fetch option required for bodies of unknown length; missing from the web's types. */
interface UploadInit {
  readonly body: ReadableStream<Uint8Array> | Blob;
  readonly duplex: 'half';
}

/** No answer of this API is longer. */
const answerBytesMax = 64 * 1024 * 1024;
const attemptsMax = 3;
/** Longer delays requested by a server are left to the caller. */
const retryAfterMsMax = 5_000;

export class Transport {
  readonly #base: string;
  readonly #key: string | undefined;
  readonly #fetch: FetchLike;
  readonly #openSocket: SocketFactory;

  /** Throws FlotillaError `INVALID_ARGUMENT` for an address that is not http or https. */
  constructor(options: TransportOptions) {
    this.#base = baseOf(options.url);
    this.#key = options.key;
    this.#openSocket = options.openSocket ?? openWebSocket;
    this.#fetch = options.fetch ?? ((url, init) => fetch(url, init));
  }

  /**
   * Returns the answer's JSON, or undefined without a body. Repeatable calls are retried when there is no
   * answer, and on 503.
   */
  json(call: Call, timeoutMs: number, options?: CallOptions): Promise<unknown> {
    return this.#attempts(call, timeoutMs, options, (signal) => this.once(call, signal));
  }

  /** Returns the answer's text in the media type that the call accepts; retried like `json`. */
  text(call: Call, timeoutMs: number, options?: CallOptions): Promise<string> {
    return this.#attempts(call, timeoutMs, options, async (signal) =>
      this.#text(await this.open(call, signal), signal),
    );
  }

  /** Builds the error for a broken stream of this server. */
  unreachable(thrown: unknown): FlotillaError {
    return unreachable(this.#base, thrown);
  }

  /** Begins to open a WebSocket. Throws `INVALID_ARGUMENT` where the runtime has none. */
  openSocket(path: string, protocol: string): SocketLike {
    try {
      return this.#openSocket({ url: this.#base.replace(/^http/, 'ws') + path, protocol, key: this.#key });
    } catch (error) {
      throw invalidArgument(`no WebSocket can be made here: ${reasonOf(error)}`, 'Pass `openSocket`.');
    }
  }

  /** Returns the answer with its body unread; throws a FlotillaError for any status but 2xx. */
  async open(call: Call, signal: AbortSignal): Promise<Response> {
    let response: Response;
    try {
      response = await this.#fetch(this.#base + call.path + queryOf(call), this.#init(call, signal));
    } catch (error) {
      signal.throwIfAborted();
      throw this.unreachable(error);
    }
    if (response.ok) return response;
    const body = await this.#text(response, signal);
    throw errorFromAnswer(response.status, response.headers, body);
  }

  /** Makes one attempt at `json`, limited only by the signal. */
  async once(call: Call, signal: AbortSignal): Promise<unknown> {
    const response = await this.open(call, signal);
    const text = await this.#text(response, signal);
    if (response.status === 204) return undefined;
    try {
      return JSON.parse(text);
    } catch (error) {
      throw badResponse(`${call.method} ${call.path}: the answer is not JSON`, error);
    }
  }

  #attempts<T>(
    call: Call,
    timeoutMs: number,
    options: CallOptions = {},
    attempt: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const ms = options.timeoutMs ?? timeoutMs;
    return withDeadline(
      ms,
      () => timedOut(call, ms),
      options.signal,
      async (signal) => {
        for (let attempts = 1; ; attempts++) {
          try {
            return await attempt(signal);
          } catch (error) {
            signal.throwIfAborted();
            const mayRepeat = call.isRepeatable && attempts < attemptsMax;
            const pauseMs = mayRepeat ? pauseBefore(error, attempts) : null;
            if (pauseMs === null) throw error;
            await sleep(pauseMs, signal);
          }
        }
      },
    );
  }

  #init(call: Call, signal: AbortSignal): RequestInit {
    const headers: Record<string, string> = { ...call.headers, accept: call.accept ?? 'application/json' };
    if (this.#key !== undefined) headers.authorization = `Bearer ${this.#key}`;
    // The API never redirects, and a key must not follow a redirect to another server.
    const init: RequestInit = { method: call.method, headers, signal, redirect: 'error' };
    if (call.upload !== undefined) {
      headers['content-type'] = call.upload.mediaType;
      const body: UploadInit = { body: call.upload.bytes, duplex: 'half' };
      return Object.assign(init, body);
    }
    if (call.body === undefined) return init;
    headers['content-type'] = 'application/json';
    return { ...init, body: JSON.stringify(call.body) };
  }

  async #text(response: Response, signal: AbortSignal): Promise<string> {
    const reader = response.body?.getReader();
    const decoder = new TextDecoder();
    let text = '';
    let length = 0;
    try {
      for (let read = await reader?.read(); read?.value !== undefined; read = await reader?.read()) {
        length += read.value.length;
        if (length > answerBytesMax) throw badResponse(`an answer of more than ${answerBytesMax} bytes`);
        text += decoder.decode(read.value, { stream: true });
      }
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof FlotillaError)) throw this.unreachable(error);
      await reader?.cancel();
      throw error;
    }
    return text + decoder.decode();
  }
}

/** The `BAD_RESPONSE` error. */
export function badResponse(message: string, cause?: unknown): FlotillaError {
  return new FlotillaError({ status: 0, code: clientErrorCodes.badResponse, message, cause });
}

/** The `INVALID_ARGUMENT` error. */
export function invalidArgument(message: string, hint?: string): FlotillaError {
  return new FlotillaError({ status: 0, code: clientErrorCodes.invalid, message, hint });
}

function timedOut(call: Call, ms: number): FlotillaError {
  return new FlotillaError({
    status: 0,
    code: clientErrorCodes.timeout,
    message: `no answer to ${call.method} ${call.path} within ${Math.round(ms / 1000)} s`,
  });
}

/** Milliseconds until the next attempt; null when the call must not be retried. */
function pauseBefore(error: unknown, attempt: number): number | null {
  if (!(error instanceof FlotillaError)) return null;
  if (error.code !== clientErrorCodes.unreachable && error.status !== 503 && error.status !== 429)
    return null;
  if (error.retryable === false) return null;
  if (error.retryAfterMs !== undefined)
    return error.retryAfterMs > retryAfterMsMax ? null : error.retryAfterMs;
  const ceilingMs = 100 * 4 ** (attempt - 1);
  return ceilingMs / 2 + (Math.random() * ceilingMs) / 2;
}

function baseOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed === null || !/^https?:$/.test(parsed.protocol)) {
    throw invalidArgument(`not an http address: '${url}'`);
  }
  if (parsed.username !== '' || parsed.password !== '' || parsed.search !== '' || parsed.hash !== '') {
    throw invalidArgument('an address must not contain user, password, query or fragment');
  }
  return parsed.origin + parsed.pathname.replace(/\/+$/, '');
}

function queryOf(call: Call): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(call.query ?? {})) {
    for (const each of [value].flat()) if (each !== undefined) query.append(name, String(each));
  }
  return query.size === 0 ? '' : `?${query}`;
}
