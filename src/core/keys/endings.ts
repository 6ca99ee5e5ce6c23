/**
 * Notifies long answers, such as streams, when the key they were requested with is revoked or expires, so
 * that they end with it.
 */
import { deadline } from '../../lib/abort.ts';
import { Lru } from '../../lib/lru.ts';
import { AppError } from '../errors.ts';
import type { Caller } from './caller.ts';

/** The maximum of Node's timers; no connection lasts longer. */
const timerMsMax = 2 ** 31 - 1;

/**
 * Number of recent revocations that are remembered, for requests that were authenticated just before a
 * revocation and start watching just after it. That gap lasts a few turns of the event loop, so this many
 * revocations cannot happen in it.
 */
const rememberedMax = 1_000;

type Listener = (reason: AppError) => void;

const newKeyHint = 'Make a new key: flotilla keys create.';

export const revoked = () =>
  new AppError('unauthenticated', 'API key has been revoked', { hint: newKeyHint });
export const expired = () => new AppError('unauthenticated', 'API key has expired', { hint: newKeyHint });

export class KeyEndings {
  /** By key id. */
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #revoked = new Lru<string, true>(rememberedMax);

  /**
   * Calls the listener once, when the caller's key is revoked in this process or expires; before returning if
   * that has already happened. Returns a function that ends the watch.
   */
  watch(
    { keyId, expiresAt }: Pick<Caller, 'keyId' | 'expiresAt'>,
    now: Date,
    listener: Listener,
  ): () => void {
    const noWatch = () => undefined;
    if (keyId === null) return noWatch;
    const msLeft = expiresAt === null ? Number.POSITIVE_INFINITY : Date.parse(expiresAt) - now.getTime();
    const isRevoked = this.#revoked.get(keyId) === true;
    if (isRevoked || msLeft <= 0) {
      listener(isRevoked ? revoked() : expired());
      return noWatch;
    }
    const listeners = this.#listeners.get(keyId) ?? new Set();
    this.#listeners.set(keyId, listeners);
    listeners.add(listener);
    const timer = msLeft <= timerMsMax ? deadline(msLeft, expired) : null;
    timer?.signal.addEventListener('abort', () => listener(timer.signal.reason), { once: true });
    return () => {
      timer?.clear();
      listeners.delete(listener);
      if (listeners.size === 0) this.#listeners.delete(keyId);
    };
  }

  revoke(keyId: string): void {
    this.#revoked.set(keyId, true);
    const listeners = this.#listeners.get(keyId);
    this.#listeners.delete(keyId);
    for (const listener of listeners ?? []) listener(revoked());
  }
}
