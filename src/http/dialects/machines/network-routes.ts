/** The handlers of a machine's network: published ports, and what its policy has refused. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { HttpDeps, HttpEnv } from '../../context.ts';
import { nounApp } from '../../documented.ts';
import { routes } from './network-definitions.ts';
import { toDeniedBody, toPortBody, toPortRequest } from './network-translate.ts';

export function networkApp({ machines, network }: HttpDeps): OpenAPIHono<HttpEnv> {
  const app = nounApp();
  app.openapi(routes.ports, async (c) => {
    const machine = await machines.get(c.get('caller').tenant, c.req.valid('param').id);
    return c.json({ ports: machine.spec.network.ports.map(toPortBody) }, 200);
  });
  app.openapi(routes.publish, async (c) => {
    const { tenant } = c.get('caller');
    const request = toPortRequest(c.req.valid('json'));
    const { port, isInForce } = await network.publish(tenant, c.req.valid('param').id, request);
    return c.json({ port: toPortBody(port), in_force: isInForce }, 201);
  });
  app.openapi(routes.unpublish, async (c) => {
    const { tenant } = c.get('caller');
    const { id, host_port: hostPort } = c.req.valid('param');
    const { protocol } = c.req.valid('query');
    const { port, isInForce } = await network.unpublish(tenant, id, { protocol, hostPort: Number(hostPort) });
    return c.json({ port: toPortBody(port), in_force: isInForce }, 200);
  });
  app.openapi(routes.denied, async (c) => {
    const machine = await machines.get(c.get('caller').tenant, c.req.valid('param').id);
    return c.json(toDeniedBody(await network.denied(machine, c.get('session').signal)), 200);
  });
  return app;
}
