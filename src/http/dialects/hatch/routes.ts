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
import { stateWord, vmPrefix } from './translate.ts';

export function vmsApp({ machines, sshCertificates, routes: published }: HttpDeps): OpenAPIHono<HttpEnv> {
  const app = nounApp();
  const vms = new VmService(machines);
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
  refusals(app, vms);
  publishing(app, vms, published);
  return app;
}

/** What needs snapshots, in Hatch's order of checks. */
function refusals(app: OpenAPIHono<HttpEnv>, vms: VmService): void {
  app.openapi(routes.snapshot, async (c) => {
    await vms.running(c.get('caller'), c.req.valid('param').id);
    throw notHere('snapshot', 'it keeps no snapshots yet');
  });
  app.openapi(routes.restore, async (c) => {
    const { state } = await vms.find(c.get('caller'), c.req.valid('param').id);
    throw new AppError('conflict', `vm is ${stateWord(state)}, must be snapshotted`, {
      hint: 'This host keeps no snapshots yet.',
    });
  });
  app.openapi(routes.snapshots, async (c) => {
    await vms.find(c.get('caller'), c.req.valid('param').id);
    return c.json([], 200);
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
    return c.json(toRouteBody(await published.create(c.get('caller').tenant, id, asked)), 201);
  });
  app.openapi(routes.listRoutes, async (c) => {
    const { tenant } = c.get('caller');
    const { id: machine } = await vms.find(c.get('caller'), c.req.valid('param').id);
    // No tenant may have more.
    const page = await published.list(tenant, { machine, limit: routesMax, offset: 0 });
    return c.json(page.routes.map(toRouteBody), 200);
  });
}

export function routesApp({ routes: published }: HttpDeps): OpenAPIHono<HttpEnv> {
  const app = nounApp();
  app.openapi(deleteRoute, async (c) => {
    const id = c.req.valid('param').id.replace(/^rt_/, '');
    await published.delete(c.get('caller').tenant, id).catch((error: unknown) => {
      throw isAppError(error, 'not_found') ? again('not_found', 'not found', error) : error;
    });
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
