/** The handlers of `/api/v1/keys`: a few lines each between HTTP and core. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { ApiKey } from '../../../core/keys/key.ts';
import type { HttpDeps, HttpEnv } from '../../context.ts';
import { nounApp } from '../../documented.ts';
import { routes } from './definitions.ts';
import type { KeyBody } from './schema.ts';

export function keysApp({ apiKeys }: HttpDeps): OpenAPIHono<HttpEnv> {
  const app = nounApp();
  app.openapi(routes.create, async (c) => {
    const { name, scopes, tenant, expires_at, tier } = c.req.valid('json');
    const expiresAt = expires_at === undefined ? undefined : new Date(expires_at);
    const { key, secret } = await apiKeys.create(c.get('caller'), { name, scopes, tenant, expiresAt, tier });
    return c.json({ ...toKeyBody(key), key: secret }, 201, { 'Cache-Control': 'no-store' });
  });
  app.openapi(routes.list, async (c) => {
    const { keys, total } = await apiKeys.list(c.get('caller'), c.req.valid('query'));
    return c.json({ keys: keys.map(toKeyBody), total }, 200);
  });
  app.openapi(routes.get, async (c) => {
    return c.json(toKeyBody(await apiKeys.get(c.get('caller'), c.req.valid('param').id)), 200);
  });
  app.openapi(routes.revoke, async (c) => {
    await apiKeys.revoke(c.get('caller'), c.req.valid('param').id);
    return c.body(null, 204);
  });
  return app;
}

/** Field by field, so that the hash is never included. */
function toKeyBody(key: ApiKey): KeyBody {
  return {
    id: key.id,
    name: key.name,
    scopes: [...key.scopes],
    tenant: key.tenant,
    tier: key.tier,
    prefix: key.prefix,
    created_at: key.createdAt,
    expires_at: key.expiresAt,
    last_used_at: key.lastUsedAt,
    revoked_at: key.revokedAt,
    created_by: key.createdBy,
  };
}
