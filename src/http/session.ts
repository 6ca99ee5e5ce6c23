/**
 * A session: one request or stream, with its caller, its lifetime and what it holds. The gate opens it;
 * handlers read `caller` and `signal`; streams keep it. Everything that it holds is released once, when the
 * connection or answer is closed.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { AppError, isAppError } from '../core/errors.ts';
import type { Caller, KeyVerifier } from '../core/keys/caller.ts';
import type { KeyService } from '../core/keys/service.ts';
import { invariant } from '../lib/invariant.ts';
import type { Connection } from './connection.ts';
import { type Holdings, holderOf } from './holdings.ts';
import type { RateState, Rates } from './rates.ts';

export interface BodyLimits {
  readonly bytesMax: number;
  readonly deadlineMs: number;
}

export interface SessionDeps {
  readonly keys: KeyVerifier;
  /** The keys that a request carries, as its dialect reads them. */
  readonly keysOf: (request: IncomingMessage) => readonly string[];
  readonly endings: Pick<KeyService, 'watchEnd'>;
  /** Bytes of bodies and buffered answers. */
  readonly memory: Holdings;
  readonly requests: Holdings;
  readonly rates: Rates;
  readonly bodyLimits: BodyLimits;
}

export interface SessionPeer {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly connection: Connection;
}

export class Session {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly #connection: Connection;
  readonly #deps: SessionDeps;
  readonly #releases: (() => void)[] = [];
  #caller: Caller | null = null;
  #reserved = 0;
  #controller: AbortController | null = null;

  constructor(deps: SessionDeps, { incoming, outgoing, connection }: SessionPeer) {
    this.#deps = deps;
    this.incoming = incoming;
    this.outgoing = outgoing;
    this.#connection = connection;
  }

  get bodyLimits(): BodyLimits {
    return this.#deps.bodyLimits;
  }

  /**
   * Finds the caller by the request's key or, if the dialect reads several headers, by the first valid one. Raises
   * `unauthenticated`, also if the key has just ended; another error when a key could not be checked.
   */
  async identify(): Promise<Caller> {
    const { keys } = this.#deps;
    const [first = null, ...others] = this.#deps.keysOf(this.incoming);
    if (others.length === 0) return keys.verify(first);
    return firstValid(keys, [first, ...others]);
  }

  /** Counts the request as its caller's until the answer is closed. Raises `rate_limited`, `exhausted`. */
  admit(caller: Caller): void {
    const holder = holderOf(caller);
    this.#caller = caller;
    this.#showRate(this.#deps.rates.take(caller));
    this.#connection.admit(holder);
    this.#deps.requests.take(holder, 1);
    this.#onEnd(() => this.#deps.requests.give(holder, 1));
  }

  #showRate(state: RateState | null): void {
    if (state === null || this.outgoing.headersSent) return;
    this.outgoing.setHeader('X-RateLimit-Limit', state.limit);
    this.outgoing.setHeader('X-RateLimit-Remaining', state.remaining);
    this.outgoing.setHeader('X-RateLimit-Reset', state.resetS);
  }

  get caller(): Caller {
    invariant(this.#caller !== null, 'a session without a caller was asked for it');
    return this.#caller;
  }

  /** Counts memory as the caller's until the answer is closed. Raises `exhausted`. */
  reserve(bytes: number): void {
    const holder = holderOf(this.caller);
    if (bytes === 0) return;
    this.#deps.memory.take(holder, bytes);
    this.#reserved += bytes;
    if (this.#reserved > bytes) return;
    this.#onEnd(() => {
      this.#deps.memory.give(holder, this.#reserved);
      this.#reserved = 0;
    });
  }

  /**
   * Aborts when the client disconnects before it has its complete answer, and when its key is revoked or
   * expires.
   */
  get signal(): AbortSignal {
    if (this.#controller !== null) return this.#controller.signal;
    const controller = new AbortController();
    this.#controller = controller;
    const gone = () => controller.abort(new AppError('unavailable', 'the client has gone'));
    if (this.outgoing.destroyed) {
      gone();
      return controller.signal;
    }
    const unwatch = this.#deps.endings.watchEnd(this.caller, (reason) => controller.abort(reason));
    this.#onEnd(() => {
      unwatch();
      if (!this.outgoing.writableFinished) gone();
    });
    return controller.signal;
  }

  /** Closes the connection, because an incomplete answer must not look complete. */
  readonly cut = (): void => {
    this.outgoing.destroy();
  };

  /** For streamed answers: closes the connection when the signal aborts, even if the client does not read. */
  cutOnAbort(): () => void {
    const { signal } = this;
    if (signal.aborted) this.cut();
    else signal.addEventListener('abort', this.cut, { once: true });
    return this.cut;
  }

  /**
   * Calls `release` once the answer is closed; at once if it already is, because `close` is emitted only
   * once.
   */
  #onEnd(release: () => void): void {
    if (this.outgoing.destroyed) {
      release();
      return;
    }
    if (this.#releases.length === 0) {
      this.outgoing.once('close', () => {
        for (const each of this.#releases.splice(0)) each();
      });
    }
    this.#releases.push(release);
  }
}

async function firstValid(verifier: KeyVerifier, keys: readonly (string | null)[]): Promise<Caller> {
  let failure: unknown = null;
  for (const key of keys) {
    try {
      return await verifier.verify(key);
    } catch (error) {
      // An error of the verifier says more than a key that is not valid.
      if (failure === null || !isAppError(error, 'unauthenticated')) failure = error;
    }
  }
  throw failure;
}
