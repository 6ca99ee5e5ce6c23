/**
 * An API key as stored: its scopes, tenant and expiry, never the secret itself. Times are RFC 3339 in UTC.
 */
import type { KeyTier } from '../quotas/tiers.ts';
import type { Scope } from './caller.ts';

export interface ApiKey {
  readonly id: string;
  /** A display name; need not be unique. */
  readonly name: string;
  readonly tenant: string;
  /** The first characters of the secret: used to look up and recognise the key, useless to a thief. */
  readonly prefix: string;
  /** SHA-256 of the secret, in hexadecimal. */
  readonly hash: string;
  readonly scopes: readonly Scope[];
  readonly createdAt: string;
  /** The time from which the key is refused; null: never. */
  readonly expiresAt: string | null;
  /** Accurate to about a minute; null: never used. */
  readonly lastUsedAt: string | null;
  readonly revokedAt: string | null;
  /** Id of the key that made this one; revoking that key revokes this one. Null: made by the operator. */
  readonly createdBy: string | null;
  /** Null: neither its requests nor the number of machines are limited by it. */
  readonly tier: KeyTier | null;
}
