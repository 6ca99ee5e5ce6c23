/** The handlers of `/api/v1/routes` and `/machines/{id}/routes`: a few lines each between HTTP and core. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Route } from '../../../core/routes/route.ts';
import type { HttpDeps, HttpEnv } from '../../context.ts';
import { nounApp } from '../../documented.ts';
import { machineRouteDefinitions, routes } from './definitions.ts';
import type { RouteBody } from './schema.ts';

const tokenSecondsDefault = 3600;

export function routesApp({ routes: service, routeUrl }: HttpDeps): OpenAPIHono<HttpEnv> {
  const app = nounApp();
  const toRouteBody = routeBodies(routeUrl);
  app.openapi(routes.create, async (c) => {
    const { machine, ...body } = c.req.valid('json');
    const route = await service.create(c.get('caller').tenant, machine, toNewRoute(body));
    return c.json(toRouteBody(route), 201);
  });
  app.openapi(routes.list, async (c) => {
    const page = await service.list(c.get('caller').tenant, c.req.valid('query'));
    return c.json({ routes: page.routes.map(toRouteBody), total: page.total }, 200);
  });
  app.openapi(routes.get, async (c) => {
    const route = await service.get(c.get('caller').tenant, c.req.valid('param').id);
    return c.json(toRouteBody(route), 200);
  });
  app.openapi(routes.update, async (c) => {
    const { target_port: targetPort, auto_wake: autoWake, access } = c.req.valid('json');
    const change = {
      ...(targetPort === undefined ? {} : { targetPort }),
      ...(autoWake === undefined ? {} : { autoWake }),
      ...(access === undefined ? {} : { isPrivate: access === 'private' }),
    };
    const route = await service.update(c.get('caller').tenant, c.req.valid('param').id, change);
    return c.json(toRouteBody(route), 200);
  });
  app.openapi(routes.createToken, async (c) => {
    const { expires_in_seconds: seconds = tokenSecondsDefault } = c.req.valid('json');
    const { tenant } = c.get('caller');
    const { id } = c.req.valid('param');
    const { subdomain, token, expiresAt } = await service.issueToken(tenant, id, seconds);
    const url = routeUrl(subdomain);
    const opening = url === null ? null : `${url}/?flotilla_token=${token}`;
    return c.json({ token, url: opening, expires_at: expiresAt }, 201);
  });
  app.openapi(routes.revokeTokens, async (c) => {
    await service.revokeTokens(c.get('caller').tenant, c.req.valid('param').id);
    return c.body(null, 204);
  });
  app.openapi(routes.remove, async (c) => {
    await service.delete(c.get('caller').tenant, c.req.valid('param').id);
    return c.body(null, 204);
  });
  return app;
}

export function machineRoutesApp({ routes: service, routeUrl }: HttpDeps): OpenAPIHono<HttpEnv> {
  const app = nounApp();
  const toRouteBody = routeBodies(routeUrl);
  app.openapi(machineRouteDefinitions.createOf, async (c) => {
    const { id } = c.req.valid('param');
    const route = await service.create(c.get('caller').tenant, id, toNewRoute(c.req.valid('json')));
    return c.json(toRouteBody(route), 201);
  });
  app.openapi(machineRouteDefinitions.listOf, async (c) => {
    const request = { ...c.req.valid('query'), machine: c.req.valid('param').id };
    const page = await service.list(c.get('caller').tenant, request);
    return c.json({ routes: page.routes.map(toRouteBody), total: page.total }, 200);
  });
  return app;
}

function toNewRoute(body: {
  readonly subdomain?: string | undefined;
  readonly target_port: number;
  readonly auto_wake?: boolean | undefined;
  readonly access?: 'public' | 'private' | undefined;
}) {
  const { subdomain, target_port: targetPort, auto_wake: autoWake, access } = body;
  return { subdomain, targetPort, autoWake, isPrivate: access === 'private' };
}

function routeBodies(routeUrl: HttpDeps['routeUrl']): (route: Route) => RouteBody {
  return (route) => ({
    id: route.id,
    machine_id: route.machineId,
    subdomain: route.subdomain,
    target_port: route.targetPort,
    auto_wake: route.autoWake,
    access: route.secret === null ? 'public' : 'private',
    url: routeUrl(route.subdomain),
    created_at: route.createdAt,
    updated_at: route.updatedAt,
  });
}
