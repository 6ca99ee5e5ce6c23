/**
 * The caller of a request and its rights. Every use case takes the tenant from here, never from a request
 * body.
 */
import { AppError } from '../errors.ts';
import type { KeyTier } from '../quotas/tiers.ts';

/** What a key may be used for. `*` means everything, including making keys. */
export const scopes = ['machines:read', 'machines:write', 'machines:exec', '*'] as const;
export type Scope = (typeof scopes)[number];

/** Allowed tenant names. */
export const tenantPattern = /^[a-z0-9][a-z0-9-]{0,62}$/;

export interface Caller {
  readonly tenant: string;
  /** A short public name of the key, for logs. */
  readonly keyName: string;
  /** Null for the operator's key, which is not in the database and never ends. */
  readonly keyId: string | null;
  readonly expiresAt: string | null;
  readonly scopes: readonly Scope[];
  /** The key's tier; null: no limits. */
  readonly tier: KeyTier | null;
  /** True for the operator of this host, who may make keys for any tenant and name files of the host. */
  readonly isOperator: boolean;
}

/** Raises `unauthenticated` with a message that is safe to show. */
export interface KeyVerifier {
  /** `key` is the text after `Bearer `; null without an Authorization header. */
  verify(key: string | null): Promise<Caller>;
}

/** Whether the caller has this scope or `*`. */
export function hasScope({ scopes: own }: Caller, scope: Scope): boolean {
  return own.includes(scope) || own.includes('*');
}

/** Raises `forbidden` unless the caller has the scope. */
export function checkScope(caller: Caller, scope: Scope): void {
  if (hasScope(caller, scope)) return;
  throw new AppError('forbidden', 'Insufficient permissions for this action', {
    hint: `Use a key with the scope ${scope}.`,
  });
}
