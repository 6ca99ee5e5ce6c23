/** Provides the API key for requests to `/api/v1/keys`. */
import { digestOf, prefixOf } from '../../src/core/keys/secret.ts';
import type { FakeFlotilla } from '../support/fake.ts';

export const keysPath = '/api/v1/keys';
export const subjectKeyId = 'fuzzedkey001';
const secret = `hf_${'f'.repeat(32)}`;

/** Removes all keys, and makes one unless it should be absent. */
export async function arrangeKey({ store, apiKeys }: FakeFlotilla, situation: 'absent' | 'live' | 'revoked') {
  const { keys } = await store.keys.list({ limit: 1000, offset: 0 });
  const now = new Date().toISOString();
  for (const { id } of keys) await store.keys.revoke(id, now);
  for (const tenant of new Set(keys.map((key) => key.tenant))) await store.keys.pruneEnded(tenant, now, 0);
  if (situation === 'absent') return;
  await store.keys.insert({
    id: subjectKeyId,
    name: 'fuzzed',
    tenant: 'default',
    prefix: prefixOf(secret),
    hash: digestOf(secret).toString('hex'),
    scopes: ['*'],
    createdAt: now,
    expiresAt: null,
    lastUsedAt: null,
    revokedAt: situation === 'revoked' ? now : null,
    createdBy: null,
    tier: null,
  });
  if (situation === 'live') await apiKeys.verify(secret);
}
