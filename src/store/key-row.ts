/** Converts an API key to a row and back, validating in both directions. */
import { z } from 'zod';
import { scopes } from '../core/keys/caller.ts';
import type { ApiKey } from '../core/keys/key.ts';
import { keyTiers } from '../core/quotas/tiers.ts';
import { decodeJson, encodeJson, encodeNullableTime, encodeTime, type KeyTable } from './schema.ts';
import { validate } from './validate.ts';

const key: z.ZodType<ApiKey> = z.strictObject({
  id: z.string().min(1),
  name: z.string().min(1),
  tenant: z.string().min(1),
  prefix: z.string().length(11),
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  scopes: z.array(z.enum(scopes)).min(1),
  createdAt: z.string(),
  expiresAt: z.string().nullable(),
  lastUsedAt: z.string().nullable(),
  revokedAt: z.string().nullable(),
  createdBy: z.string().nullable(),
  tier: z.enum(keyTiers).nullable(),
});

/** Raises InvariantError when the key is malformed. */
export function encodeKey(value: ApiKey): KeyTable {
  const checked = check(value);
  return {
    id: checked.id,
    name: checked.name,
    tenant: checked.tenant,
    prefix: checked.prefix,
    hash: checked.hash,
    scopes: encodeJson(checked.scopes),
    created_at: encodeTime(checked.createdAt),
    expires_at: encodeNullableTime(checked.expiresAt),
    last_used_at: encodeNullableTime(checked.lastUsedAt),
    revoked_at: encodeNullableTime(checked.revokedAt),
    created_by: checked.createdBy,
    tier: checked.tier,
  };
}

/** Raises InvariantError when this program could not have written the row. */
export function decodeKey(row: KeyTable): ApiKey {
  return check({
    id: row.id,
    name: row.name,
    tenant: row.tenant,
    prefix: row.prefix,
    hash: row.hash,
    scopes: decodeJson(row.scopes, 'api_keys.scopes'),
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    lastUsedAt: row.last_used_at,
    revokedAt: row.revoked_at,
    createdBy: row.created_by,
    tier: row.tier,
  });
}

/** `value` may contain anything under the fields' names. */
function check(value: Readonly<Record<keyof ApiKey, unknown>>): ApiKey {
  return validate(key, value, `key ${String(value.id)}`);
}
