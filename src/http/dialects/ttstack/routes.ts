/** The handlers of TTstack's routes: a line or two each between HTTP and `TtstackService`. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { HttpDeps, HttpEnv } from '../../context.ts';
import { nounApp } from '../../documented.ts';
import { controller, host } from './definitions.ts';
import { TtstackService } from './service.ts';

const done = { ok: true } as const;
const answer = <T>(data: T) => ({ ok: true as const, data });

export function controllerApp(deps: HttpDeps): OpenAPIHono<HttpEnv> {
  const app = nounApp();
  const service = new TtstackService(deps);
  app.openapi(controller.addHost, async (c) =>
    c.json(answer(await service.addHost(c.req.valid('json').addr, ownAddress(c))), 201),
  );
  app.openapi(controller.listHosts, async (c) => c.json(answer(await service.hosts(ownAddress(c))), 200));
  app.openapi(controller.getHost, async (c) =>
    c.json(answer(await service.host(c.req.valid('param').id, ownAddress(c))), 200),
  );
  app.openapi(controller.removeHost, async (c) => {
    await service.removeHost(c.req.valid('param').id);
    return c.json(done, 200);
  });
  app.openapi(controller.listEnvs, async (c) =>
    c.json(answer(await service.envs(c.get('caller'), c.req.valid('query').owner)), 200),
  );
  app.openapi(controller.createEnv, async (c) =>
    c.json(answer(await service.createEnv(c.get('caller'), c.req.valid('json'))), 201),
  );
  app.openapi(controller.getEnv, async (c) =>
    c.json(answer(await service.env(c.get('caller'), c.req.valid('param').id)), 200),
  );
  app.openapi(controller.deleteEnv, async (c) => {
    await deps.environments.delete(c.get('caller').tenant, c.req.valid('param').id);
    return c.json(done, 200);
  });
  app.openapi(controller.stopEnv, async (c) => {
    await deps.environments.stop(c.get('caller').tenant, c.req.valid('param').id);
    return c.json(done, 200);
  });
  app.openapi(controller.startEnv, async (c) => {
    await deps.environments.start(c.get('caller').tenant, c.req.valid('param').id);
    return c.json(done, 200);
  });
  app.openapi(controller.extendEnv, async (c) => {
    const { lifetime } = c.req.valid('json');
    return c.json(answer(await service.extendEnv(c.get('caller'), c.req.valid('param').id, lifetime)), 200);
  });
  app.openapi(controller.getVm, async (c) =>
    c.json(answer(await service.vm(c.get('caller'), c.req.valid('param').id)), 200),
  );
  app.openapi(controller.listVms, async (c) => c.json(answer(await service.vms(c.get('caller'))), 200));
  actOnVms(app, service);
  app.openapi(controller.listImages, async (c) => {
    const names = await service.imageNames(c.get('caller'));
    return c.json(answer(names.map((name) => ({ name, host_id: deps.hosts.id }))), 200);
  });
  app.openapi(controller.status, async (c) => c.json(answer(await service.status()), 200));
  return app;
}

export function hostApp(deps: HttpDeps): OpenAPIHono<HttpEnv> {
  const app = nounApp();
  const service = new TtstackService(deps);
  app.openapi(host.info, async (c) => c.json(answer(await service.info(c.get('caller'))), 200));
  app.openapi(host.images, async (c) => c.json(answer(await service.imageNames(c.get('caller'))), 200));
  app.openapi(host.createVm, async (c) =>
    c.json(answer({ vm: await service.createVm(c.get('caller'), c.req.valid('json')) }), 201),
  );
  app.openapi(host.listVms, async (c) => c.json(answer(await service.hostVms(c.get('caller'))), 200));
  app.openapi(host.getVm, async (c) =>
    c.json(answer(await service.hostVm(c.get('caller'), c.req.valid('param').id)), 200),
  );
  actOnVms(app, service);
  return app;
}

/** What controller and hosts do with one VM. */
function actOnVms(app: OpenAPIHono<HttpEnv>, service: TtstackService): void {
  app.openapi(controller.deleteVm, async (c) => {
    await service.deleteVm(c.get('caller'), c.req.valid('param').id);
    return c.json(done, 200);
  });
  app.openapi(controller.stopVm, async (c) => {
    await service.stopVm(c.get('caller'), c.req.valid('param').id);
    return c.json(done, 200);
  });
  app.openapi(controller.startVm, async (c) => {
    await service.startVm(c.get('caller'), c.req.valid('param').id);
    return c.json(done, 200);
  });
}

/** The address at which the request reached this server. On the operator's unix socket there is none. */
function ownAddress(c: Context<HttpEnv>): string {
  const { localAddress, localPort } = c.env.incoming.socket;
  if (localAddress === undefined || localPort === undefined) return 'localhost:0';
  const plain = localAddress.replace(/^::ffff:(?=\d+\.)/, '');
  return plain.includes(':') ? `[${plain}]:${localPort}` : `${plain}:${localPort}`;
}
