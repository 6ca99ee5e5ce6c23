/** Who asks, and what they may do. Every use case takes a tenant from here, never from a request's body. */
import { AppError } from '../errors.ts';

/** What a key may be good for. `*`: everything, the making of keys included. */
export const scopes = ['machines:read', 'machines:write', 'machines:exec', '*'] as const;
export type Scope = (typeof scopes)[number];

/** What a tenant may be called. */
export const tenantPattern = /^[a-z0-9][a-z0-9-]{0,62}$/;

export interface Caller {
  readonly tenant: string;
  /** A short public name of the key, for logs. */
  readonly keyName: string;
  /** Null: not a key of the database, and so without an end. */
  readonly keyId: string | null;
  readonly expiresAt: string | null;
  readonly scopes: readonly Scope[];
  /** Whoever runs this host: may make keys for any tenant and name files of the host. */
  readonly isOperator: boolean;
}

/** Raises `unauthenticated` with words that are safe to show. */
export interface KeyVerifier {
  /** `key` is what stood after `Bearer `; null when there was no Authorization header. */
  verify(key: string | null): Promise<Caller>;
}

/** Raises `forbidden` unless one of the caller's scopes is the one asked for, or `*`. */
export function checkScope(caller: Caller, scope: Scope): void {
  if (caller.scopes.includes(scope) || caller.scopes.includes('*')) return;
  throw new AppError('forbidden', 'Insufficient permissions for this action', {
    hint: `Use a key with the scope ${scope}.`,
  });
}
