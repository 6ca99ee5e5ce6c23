/**
 * Tells whoever still acts for a key that it has ended: an answer that goes on, such as a stream, must not outlive the key
 * it was asked for with.
 */
import { deadline } from '../../lib/abort.ts';
import { Lru } from '../../lib/lru.ts';
import { AppError } from '../errors.ts';
import type { Caller } from './caller.ts';

/** Node's timers take no more; no connection lives as long. */
const timerMsMax = 2 ** 31 - 1;

/**
 * Revocations remembered for requests that were let in just before one and watch just after. That gap is a few turns of
 * the event loop, in which no such number of keys can be revoked.
 */
const rememberedMax = 1_000;

type Listener = (reason: AppError) => void;

export const revoked = () => new AppError('unauthenticated', 'API key has been revoked');
export const expired = () => new AppError('unauthenticated', 'API key has expired');

export class KeyEndings {
  /** By the key's id. */
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #revoked = new Lru<string, true>(rememberedMax);

  /**
   * Calls the listener once, when the caller's key is revoked here or expires; before this returns if that has happened
   * already. Returns what ends the watch.
   */
  watch({ keyId, expiresAt }: Caller, now: Date, listener: Listener): () => void {
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
