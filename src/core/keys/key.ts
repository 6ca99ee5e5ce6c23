/** An API key as it is kept: what it may do, for whom and until when; never the secret itself. Times are RFC 3339, UTC. */
import type { Scope } from './caller.ts';

export interface ApiKey {
  readonly id: string;
  /** For people; need not be unique. */
  readonly name: string;
  readonly tenant: string;
  /** The beginning of the secret: what the key is found by and recognised by, of no use to a thief. */
  readonly prefix: string;
  /** SHA-256 of the secret, in hexadecimal. */
  readonly hash: string;
  readonly scopes: readonly Scope[];
  readonly createdAt: string;
  /** The moment from which it is no longer good; null: never. */
  readonly expiresAt: string | null;
  /** To the minute or so; null: never used. */
  readonly lastUsedAt: string | null;
  readonly revokedAt: string | null;
  /** The id of the key it was made with, and with whose revocation it is revoked; null: the operator's. */
  readonly createdBy: string | null;
}
