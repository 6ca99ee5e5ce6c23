/**
 * Finds the caller for a secret. A key that was read is trusted for a second without another read; its expiry
 * is checked every time. The time of its last use is written in the background.
 */
import { timingSafeEqual } from 'node:crypto';
import type { Logger } from '../../lib/log.ts';
import { Lru } from '../../lib/lru.ts';
import { AppError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { Store } from '../ports/store.ts';
import type { Caller, KeyVerifier } from './caller.ts';
import { expired, revoked } from './endings.ts';
import type { ApiKey } from './key.ts';
import { digestOf, isSecret, prefixOf } from './secret.ts';

/** How long another daemon on the same database may accept a key that this one has revoked. */
const freshMs = 1_000;
const rememberedMax = 1_000;
/** Accuracy of `lastUsedAt`; each update is a write to disk. */
const noteEveryMs = 60_000;
/** Concurrent updates of `lastUsedAt`; beyond this, uses are not recorded. */
const notesMax = 100;

export interface VerificationDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Remembered {
  readonly key: ApiKey;
  readonly readAtMs: number;
}

export class KeyVerification implements KeyVerifier {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** By digest, so that no secret stays in memory. */
  readonly #remembered = new Lru<string, Remembered>(rememberedMax);
  /** Key id → when its last use was last written or tried. */
  readonly #notedAtMs = new Lru<string, number>(rememberedMax);
  readonly #notes = new Set<Promise<void>>();
  /** Incremented by forgetAll. A key whose read began before that must not be remembered. */
  #forgottenCount = 0;
  #isClosed = false;

  constructor(deps: VerificationDeps) {
    this.#store = deps.store;
    this.#clock = deps.clock;
    this.#log = deps.log;
  }

  async verify(secret: string | null): Promise<Caller> {
    if (secret === null)
      throw new AppError('unauthenticated', 'Authorization header is required', {
        hint: 'Send Authorization: Bearer <key>; flotilla keys create makes a key.',
      });
    const key = isSecret(secret) ? await this.#find(secret) : null;
    if (key === null)
      throw new AppError('unauthenticated', 'Invalid API key', {
        hint: 'flotilla keys create makes a new key; its secret is shown only once.',
      });
    return this.#admit(key);
  }

  /**
   * The caller that a key stands for, found by its id: for what was made with the key and ends with it. Raises
   * `unauthenticated`.
   */
  async callerOf(keyId: string): Promise<Caller> {
    const key = await this.#store.keys.get(keyId);
    if (key === null) throw new AppError('unauthenticated', 'the API key does not exist any more');
    return this.#admit(key);
  }

  #admit(key: ApiKey): Caller {
    if (key.revokedAt !== null) throw revoked();
    const now = this.#clock.now();
    if (key.expiresAt !== null && Date.parse(key.expiresAt) <= now.getTime()) throw expired();
    this.#noteUse(key, now);
    const { tenant, name: keyName, id: keyId, expiresAt, scopes, tier } = key;
    return { tenant, keyName, keyId, expiresAt, scopes, tier, isOperator: false };
  }

  /** From now on, every key is read again before it is accepted. */
  forgetAll(): void {
    this.#forgottenCount += 1;
    this.#remembered.clear();
  }

  /** Stops recording and waits for pending writes. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#notes);
  }

  async #find(secret: string): Promise<ApiKey | null> {
    const digest = digestOf(secret);
    const hash = digest.toString('hex');
    const readAtMs = this.#clock.now().getTime();
    const remembered = this.#remembered.get(hash);
    const ageMs = readAtMs - (remembered?.readAtMs ?? 0);
    // The age is negative when the clock was set back.
    if (remembered && ageMs >= 0 && ageMs < freshMs) return remembered.key;
    for (;;) {
      const forgottenCount = this.#forgottenCount;
      const candidates = await this.#store.keys.withPrefix(prefixOf(secret));
      if (forgottenCount !== this.#forgottenCount) continue;
      const key = candidates.find((each) => timingSafeEqual(Buffer.from(each.hash, 'hex'), digest)) ?? null;
      if (key) this.#remembered.set(hash, { key, readAtMs });
      else this.#remembered.delete(hash);
      return key;
    }
  }

  #noteUse(key: ApiKey, now: Date): void {
    const lastMs = this.#notedAtMs.get(key.id) ?? Date.parse(key.lastUsedAt ?? '');
    // NaN when the key was never used.
    if (Math.abs(now.getTime() - lastMs) < noteEveryMs) return;
    if (this.#isClosed || this.#notes.size >= notesMax) return;
    this.#notedAtMs.set(key.id, now.getTime());
    const note = this.#store.keys
      .noteUse(key.id, now.toISOString())
      .catch((error: unknown) => this.#log.warn({ keyId: key.id, err: error }, 'key use not recorded'))
      .finally(() => this.#notes.delete(note));
    this.#notes.add(note);
  }
}
