/** The handlers of `/api/v1/environments`: a few lines each between HTTP and core. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Environment } from '../../../core/environments/environment.ts';
import type { EnvironmentDetail } from '../../../core/environments/service.ts';
import type { HttpDeps, HttpEnv } from '../../context.ts';
import { toCreateRequest, toSummary } from '../../dialects/machines/translate.ts';
import { nounApp } from '../../documented.ts';
import { routes } from './definitions.ts';
import type { EnvironmentBody, EnvironmentDetailBody } from './schema.ts';

export function environmentsApp({ environments }: HttpDeps): OpenAPIHono<HttpEnv> {
  const app = nounApp();
  app.openapi(routes.create, async (c) => {
    const caller = c.get('caller');
    const { id, owner = '', lifetime_seconds, machines } = c.req.valid('json');
    const request = { id, owner, lifetimeSeconds: lifetime_seconds, machines: machines.map(toCreateRequest) };
    return c.json(toDetail(await environments.create(caller.tenant, request, { asker: caller })), 201);
  });
  app.openapi(routes.list, async (c) => {
    const page = await environments.list(c.get('caller').tenant, c.req.valid('query'));
    return c.json({ environments: page.environments.map(toBody), total: page.total }, 200);
  });
  app.openapi(routes.get, async (c) => {
    return c.json(toDetail(await environments.get(c.get('caller').tenant, c.req.valid('param').id)), 200);
  });
  app.openapi(routes.extend, async (c) => {
    const end = { lifetimeSeconds: c.req.valid('json').lifetime_seconds };
    const { id } = c.req.valid('param');
    return c.json(toDetail(await environments.extend(c.get('caller').tenant, id, end)), 200);
  });
  app.openapi(routes.start, async (c) => {
    return c.json(toDetail(await environments.start(c.get('caller').tenant, c.req.valid('param').id)), 200);
  });
  app.openapi(routes.stop, async (c) => {
    return c.json(toDetail(await environments.stop(c.get('caller').tenant, c.req.valid('param').id)), 200);
  });
  app.openapi(routes.remove, async (c) => {
    await environments.delete(c.get('caller').tenant, c.req.valid('param').id);
    return c.body(null, 204);
  });
  return app;
}

function toBody(environment: Environment): EnvironmentBody {
  return {
    id: environment.id,
    owner: environment.owner,
    state: environment.state,
    warnings: [...environment.warnings],
    expires_at: environment.expiresAt,
    created_at: environment.createdAt,
    updated_at: environment.updatedAt,
  };
}

function toDetail({ environment, machines }: EnvironmentDetail): EnvironmentDetailBody {
  return { ...toBody(environment), machines: machines.map(toSummary) };
}
