/** The handlers of `/api/v1/ssh-keys`: a few lines each between HTTP and core. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { SshKey } from '../../../core/ssh/ssh-key.ts';
import type { HttpDeps, HttpEnv } from '../../context.ts';
import { nounApp } from '../../documented.ts';
import { routes } from './definitions.ts';
import type { SshKeyBody } from './schema.ts';

export function sshKeysApp({ sshKeys }: HttpDeps): OpenAPIHono<HttpEnv> {
  const app = nounApp();
  app.openapi(routes.create, async (c) => {
    const { name, public_key: publicKey } = c.req.valid('json');
    return c.json(toBody(await sshKeys.create(c.get('caller'), { name, publicKey })), 201);
  });
  app.openapi(routes.list, async (c) => {
    const { keys, total } = await sshKeys.list(c.get('caller').tenant, c.req.valid('query'));
    return c.json({ ssh_keys: keys.map(toBody), total }, 200);
  });
  app.openapi(routes.get, async (c) => {
    return c.json(toBody(await sshKeys.get(c.get('caller').tenant, c.req.valid('param').id)), 200);
  });
  app.openapi(routes.remove, async (c) => {
    await sshKeys.delete(c.get('caller').tenant, c.req.valid('param').id);
    return c.body(null, 204);
  });
  return app;
}

function toBody({ id, name, publicKey, fingerprint, createdBy, createdAt }: SshKey): SshKeyBody {
  return { id, name, public_key: publicKey, fingerprint, created_by: createdBy, created_at: createdAt };
}
