/** The handlers of `/vms` and `/routes`: a few lines each between HTTP and `VmService`. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { AppError, isAppError } from '../../../core/errors.ts';
import type { Route } from '../../../core/routes/route.ts';
import { type RouteService, routesMax } from '../../../core/routes/service.ts';
import { checkSubdomain, checkTargetPort } from '../../../core/routes/subdomains.ts';
import type { HttpDeps, HttpEnv } from '../../context.ts';
import { nounApp } from '../../documented.ts';
import { idOf, readBody } from './body.ts';
import { deleteRoute, routes } from './definitions.ts';
import { runExec } from './exec.ts';
import { connectBody, createBody, execBody, type RouteBody, routeCreateBody } from './schema.ts';
import { again, VmService } from './service.ts';
import { vmPrefix } from './translate.ts';

export function vmsApp(deps: HttpDeps): OpenAPIHono<HttpEnv> {
  const { machines, sshCertificates, routes: published } = deps;
  const app = nounApp();
  const vms = new VmService(deps);
  app.openapi(routes.list, async (c) => c.json(await vms.list(c.get('caller')), 200));
  app.post('/', routes.create.middleware, async (c) => {
    return c.json(await vms.create(c.get('caller'), await readBody(c, createBody)), 201);
  });
  app.openapi(routes.get, async (c) => {
    return c.json(await vms.get(c.get('caller'), c.req.valid('param').id), 200);
  });
  app.openapi(routes.remove, async (c) => {
    await vms.delete(c.get('caller'), c.req.valid('param').id);
    return c.json({ status: 'deleted' as const }, 200);
  });
  app.openapi(routes.stop, async (c) => {
    return c.json(await vms.stop(c.get('caller'), c.req.valid('param').id), 200);
  });
  app.openapi(routes.metrics, async (c) => {
    const { signal } = c.get('session');
    return c.json(await vms.metrics(c.get('caller'), c.req.valid('param').id, signal), 200);
  });
  // Hatch looks for the VM first, then at its state, then at the body.
  app.post('/:id/exec', routes.exec.middleware, async (c) => {
    const session = c.get('session');
    const { tenant } = c.get('caller');
    const { id } = await vms.running(c.get('caller'), idOf(c));
    const body = await readBody(c, execBody);
    const result = await runExec(
      body,
      (request) => machines.execLogged(tenant, id, request, session.signal),
      (bytes) => session.reserve(bytes),
    );
    return c.json(result, 200);
  });
  // Hatch looks for its certificate authority before anything else.
  app.post('/:id/connect', routes.connect.middleware, async (c) => {
    if (!machines.hasSshPorts) throw notHere('ssh', 'its SSH gateway does not listen');
    const { id, port } = await vms.connectable(c.get('caller'), idOf(c));
    const { public_key: publicKey } = await readBody(c, connectBody);
    const issued = await sshCertificates
      .issue(c.get('caller'), id, publicKey ?? '')
      .catch((error: unknown) => {
        throw isAppError(error, 'invalid')
          ? again('invalid', `invalid public key: ${error.message}`, error)
          : error;
      });
    const valid_until = Math.floor(Date.parse(issued.expiresAt) / 1000);
    const { hostname: host } = new URL(c.req.url);
    return c.json({ certificate: issued.certificate, host, port, username: 'agent', valid_until }, 200);
  });
  snapshotting(app, vms);
  publishing(app, vms, published);
  return app;
}

function snapshotting(app: OpenAPIHono<HttpEnv>, vms: VmService): void {
  app.openapi(routes.snapshot, async (c) => {
    return c.json(await vms.snapshot(c.get('caller'), c.req.valid('param').id), 201);
  });
  app.openapi(routes.restore, async (c) => {
    return c.json(await vms.restore(c.get('caller'), c.req.valid('param').id), 200);
  });
  app.openapi(routes.snapshots, async (c) => {
    return c.json(await vms.snapshots(c.get('caller'), c.req.valid('param').id), 200);
  });
}

/** Routes of the reverse proxy. */
function publishing(app: OpenAPIHono<HttpEnv>, vms: VmService, published: RouteService): void {
  app.post('/:id/routes', routes.createRoute.middleware, async (c) => {
    const { target_port, subdomain, auto_wake } = await readBody(c, routeCreateBody);
    // Hatch looks at the body before the VM.
    checkTargetPort(target_port);
    if (subdomain) checkSubdomain(subdomain);
    const asked = { subdomain: subdomain ?? '', targetPort: target_port, autoWake: auto_wake ?? true };
    const { id } = await vms.find(c.get('caller'), idOf(c));
    const route = await published.create(c.get('caller').tenant, id, asked);
    await vms.restWhenIdle(c.get('caller'), id);
    return c.json(toRouteBody(route), 201);
  });
  app.openapi(routes.listRoutes, async (c) => {
    const { tenant } = c.get('caller');
    const { id: machine } = await vms.find(c.get('caller'), c.req.valid('param').id);
    // No tenant may have more.
    const page = await published.list(tenant, { machine, limit: routesMax, offset: 0 });
    return c.json(page.routes.map(toRouteBody), 200);
  });
}

export function routesApp(deps: HttpDeps): OpenAPIHono<HttpEnv> {
  const { routes: published } = deps;
  const app = nounApp();
  const vms = new VmService(deps);
  app.openapi(deleteRoute, async (c) => {
    const id = c.req.valid('param').id.replace(/^rt_/, '');
    const { tenant } = c.get('caller');
    const notFound = (error: unknown) => {
      throw isAppError(error, 'not_found') ? again('not_found', 'not found', error) : error;
    };
    const { machineId } = await published.get(tenant, id).catch(notFound);
    await published.delete(tenant, id).catch(notFound);
    await vms.restWhenIdle(c.get('caller'), machineId);
    return c.json({ status: 'deleted' as const }, 200);
  });
  return app;
}

function toRouteBody({
  id,
  machineId,
  subdomain,
  targetPort,
  autoWake,
  createdAt,
  updatedAt,
}: Route): RouteBody {
  return {
    id: `rt_${id}`,
    vm_id: `${vmPrefix}${machineId}`,
    subdomain,
    target_port: targetPort,
    auto_wake: autoWake,
    created_at: createdAt,
    updated_at: updatedAt,
  };
}

function notHere(what: string, why: string): AppError {
  return new AppError('unavailable', `${what} is not available on this host: ${why}`);
}
