/**
 * The use cases of API keys. A caller manages its own tenant's keys, the operator all keys. A key cannot
 * grant rights that its maker lacks, and never has the operator's rights.
 */
import { shortId } from '../../lib/ids.ts';
import { AppError } from '../errors.ts';
import type { EventBus } from '../events/bus.ts';
import type { KeyPage } from '../ports/store.ts';
import { type KeyTier, mayGrant } from '../quotas/tiers.ts';
import {
  type Caller,
  checkScope,
  type KeyVerifier,
  type Scope,
  scopes as scopesInOrder,
  tenantPattern,
} from './caller.ts';
import { KeyEndings, revoked } from './endings.ts';
import type { ApiKey } from './key.ts';
import { digestOf, makeSecret, prefixOf } from './secret.ts';
import { KeyVerification, type VerificationDeps } from './verification.ts';

/** Limit per tenant of keys that are neither revoked nor expired. */
export const liveKeysMax = 1_000;
/** Limit per tenant of ended keys that are kept. */
export const endedKeysMax = 1_000;
/** Later years have five digits, and their text would sort before years with four. */
const latestMs = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

export interface NewKey {
  readonly name: string;
  /** Not empty. */
  readonly scopes: readonly Scope[];
  /** Absent: never expires. */
  readonly expiresAt?: Date | undefined;
  /** Absent: the caller's tenant. */
  readonly tenant?: string | undefined;
  /** Absent: the caller's own. */
  readonly tier?: KeyTier | null | undefined;
}

export interface KeyWithSecret {
  readonly key: ApiKey;
  /** Shown only once. */
  readonly secret: string;
}

export class KeyService implements KeyVerifier {
  readonly #deps: VerificationDeps;
  readonly #verification: KeyVerification;
  readonly #endings = new KeyEndings();

  constructor(deps: VerificationDeps) {
    this.#deps = deps;
    this.#verification = new KeyVerification(deps);
  }

  /**
   * Raises `invalid`, `forbidden` (another tenant, or a scope the caller lacks), `exhausted` (too many keys).
   */
  async create(caller: Caller, request: NewKey): Promise<KeyWithSecret> {
    const now = this.#deps.clock.now();
    const tenant = request.tenant ?? caller.tenant;
    checkRequest(request, tenant, now);
    checkMaker(caller, request, tenant);
    const secret = makeSecret();
    const key: ApiKey = {
      id: shortId(),
      name: request.name,
      tenant,
      prefix: prefixOf(secret),
      hash: digestOf(secret).toString('hex'),
      scopes: scopesInOrder.filter((scope) => request.scopes.includes(scope)),
      createdAt: now.toISOString(),
      expiresAt: request.expiresAt?.toISOString() ?? null,
      lastUsedAt: null,
      revokedAt: null,
      createdBy: caller.keyId,
      tier: request.tier === undefined ? caller.tier : request.tier,
    };
    await this.#deps.store.transaction(async (tx) => {
      // A maker that is revoked concurrently must not leave a new key behind.
      if (caller.keyId !== null && !isGood(await tx.keys.get(caller.keyId), now)) throw revoked();
      if ((await tx.keys.countLive(tenant, key.createdAt)) >= liveKeysMax) {
        throw new AppError('conflict', `tenant '${tenant}' has ${liveKeysMax} keys already`, {
          hint: 'Revoke keys that are no longer used.',
        });
      }
      await tx.keys.insert(key);
      await tx.keys.pruneEnded(tenant, key.createdAt, endedKeysMax);
    });
    this.#deps.log.info({ keyId: key.id, tenant, scopes: key.scopes, by: byWhom(caller) }, 'key created');
    return { key, secret };
  }

  /** Newest first, including revoked keys. */
  list(caller: Caller, page: { readonly limit: number; readonly offset: number }): Promise<KeyPage> {
    return this.#deps.store.keys.list({ ...page, ...(caller.isOperator ? {} : { tenant: caller.tenant }) });
  }

  /** Raises `not_found`. */
  async get(caller: Caller, id: string): Promise<ApiKey> {
    return visible(caller, id, await this.#deps.store.keys.get(id));
  }

  /**
   * Revokes the key and all keys made with it; they are refused once this resolves. Idempotent. Raises
   * `not_found`.
   */
  async revoke(caller: Caller, id: string): Promise<void> {
    const { store, clock, log } = this.#deps;
    const key = await this.get(caller, id);
    const at = clock.now().toISOString();
    let revokedIds: readonly string[];
    try {
      revokedIds = await store.transaction(async (tx) => {
        const ids = await tx.keys.revoke(id, at);
        if (ids.length > 0) await tx.keys.pruneEnded(key.tenant, at, endedKeysMax);
        return ids;
      });
    } finally {
      // Also after an error: it may be unknown whether the revocation was committed, and for which keys.
      this.#verification.forgetAll();
    }
    for (const each of revokedIds) this.#endings.revoke(each);
    if (revokedIds.length > 0) log.info({ keyIds: revokedIds, by: byWhom(caller) }, 'keys revoked');
  }

  /**
   * Ends the requests of a key as soon as the event bus reports its revocation: by another daemon, or by this
   * one when the answer of the commit was lost.
   */
  follow(bus: Pick<EventBus, 'subscribeAll'>): void {
    bus.subscribeAll(({ type, subject }) => {
      if (type !== 'key.revoked') return;
      this.#verification.forgetAll();
      this.#endings.revoke(subject.id);
    });
  }

  /** For long answers; see KeyEndings.watch. */
  watchEnd(caller: Caller, listener: (reason: AppError) => void): () => void {
    return this.#endings.watch(caller, this.#deps.clock.now(), listener);
  }

  /** See KeyVerifier; also raises `unavailable` and the like when the store fails. */
  verify(secret: string | null): Promise<Caller> {
    return this.#verification.verify(secret);
  }

  /** See KeyVerification. */
  callerOf(keyId: string): Promise<Caller> {
    return this.#verification.callerOf(keyId);
  }

  /** Call before the store is closed. */
  close(): Promise<void> {
    return this.#verification.close();
  }
}

/** Names the caller in the log by values that no caller can choose. */
function byWhom({ keyId, isOperator }: Caller): string {
  return isOperator ? 'operator' : (keyId ?? 'anyone');
}

function isGood(key: ApiKey | null, now: Date): boolean {
  if (key === null || key.revokedAt !== null) return false;
  return key.expiresAt === null || Date.parse(key.expiresAt) > now.getTime();
}

function visible(caller: Caller, id: string, key: ApiKey | null): ApiKey {
  if (key && (caller.isOperator || key.tenant === caller.tenant)) return key;
  throw new AppError('not_found', `Key with id '${id}' not found`, {
    hint: 'flotilla keys ls shows your keys.',
  });
}

function checkRequest(request: NewKey, tenant: string, now: Date): void {
  const { name, scopes, expiresAt } = request;
  if (!/^[^\p{Cc}\p{Cs}]{1,128}$/u.test(name)) {
    throw invalid('the name of a key must have 1 to 128 printable characters');
  }
  if (!tenantPattern.test(tenant)) {
    throw invalid('a tenant’s name must have 1 to 63 of the characters a-z, 0-9 and -, and not start with -');
  }
  if (scopes.length === 0) throw invalid('a key must have a scope');
  if (expiresAt === undefined) return;
  if (!(expiresAt.getTime() > now.getTime())) throw invalid('the time a key expires must be in the future');
  if (expiresAt.getTime() > latestMs) throw invalid('the time a key expires must be before the year 10000');
}

function checkTier({ tier: own }: Caller, tier: KeyTier | null | undefined): void {
  if (tier === undefined || mayGrant(own, tier)) return;
  throw new AppError('forbidden', 'Insufficient permissions for this action', {
    hint: `A key made with this one must be of its tier, ${own}, or of a lower one.`,
  });
}

function checkMaker(caller: Caller, { scopes, expiresAt, tier }: NewKey, tenant: string): void {
  if (tenant !== caller.tenant && !caller.isOperator) {
    throw new AppError('forbidden', 'Insufficient permissions for this action', {
      hint: 'Ask the operator of this host to make a key for another tenant.',
    });
  }
  for (const scope of scopes) checkScope(caller, scope);
  checkTier(caller, tier);
  const endsMs = expiresAt?.getTime() ?? Number.POSITIVE_INFINITY;
  if (caller.expiresAt !== null && endsMs > Date.parse(caller.expiresAt)) {
    throw new AppError('forbidden', 'Insufficient permissions for this action', {
      hint: `A key made with this one must expire no later than it does: ${caller.expiresAt}.`,
    });
  }
}

function invalid(message: string): AppError {
  return new AppError('invalid', message);
}
