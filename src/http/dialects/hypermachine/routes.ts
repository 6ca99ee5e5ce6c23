/** The handlers of `/api/v1/vms`: a line or two each between HTTP and `VmService`. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { HttpDeps, HttpEnv } from '../../context.ts';
import { nounApp } from '../../documented.ts';
import { routes } from './definitions.ts';
import { vmActions } from './schema.ts';
import { VmService } from './service.ts';

export function vmsApp(deps: HttpDeps): OpenAPIHono<HttpEnv> {
  const app = nounApp();
  const vms = new VmService(deps);
  app.openapi(routes.list, async (c) => c.json(await vms.list(c.get('caller'), c.req.valid('query')), 200));
  app.openapi(routes.create, async (c) => {
    return c.json(await vms.create(c.get('caller'), c.req.valid('json')), 201);
  });
  app.openapi(routes.get, async (c) => {
    return c.json(await vms.get(c.get('caller'), c.req.valid('param').id), 200);
  });
  app.openapi(routes.remove, async (c) => {
    return c.json(await vms.delete(c.get('caller'), c.req.valid('param').id), 200);
  });
  for (const action of vmActions) {
    app.openapi(routes[action], async (c) => {
      return c.json(await vms.act(c.get('caller'), c.req.valid('param').id, action), 200);
    });
  }
  app.openapi(routes.metrics, async (c) => {
    const { signal } = c.get('session');
    return c.json(await vms.metrics(c.get('caller'), c.req.valid('param').id, signal), 200);
  });
  app.openapi(routes.script, async (c) => {
    const session = c.get('session');
    const reserve = (bytes: number) => session.reserve(bytes);
    const { id } = c.req.valid('param');
    const result = await vms.script(c.get('caller'), id, c.req.valid('json'), reserve, session.signal);
    return c.json(result, 200);
  });
  return app;
}
