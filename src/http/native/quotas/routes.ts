/** `/quotas`: how much each tenant may have. */
import { createRoute, type OpenAPIHono, type RouteConfig } from '@hono/zod-openapi';
import type { QuotaLimits, QuotaUsage } from '../../../core/quotas/quota.ts';
import type { QuotaState } from '../../../core/quotas/service.ts';
import { needs, smallBodyBytesMax } from '../../access.ts';
import type { HttpDeps, HttpEnv } from '../../context.ts';
import { bodyOf, bodyRefused, commonFailures, failure, invalid, json, nounApp } from '../../documented.ts';
import * as schema from './schema.ts';

const tags = ['quotas'];
const wrongTenant = invalid('tenant must be 1 to 63 of a-z, 0-9 and -, and not begin with -');

const routes = {
  list: createRoute({
    method: 'get',
    path: '/',
    operationId: 'listQuotas',
    tags,
    ...needs('*', { query: 'declared' }),
    summary: 'List quotas',
    description: 'A page of the quotas that were set, by tenant. For the operator.',
    request: { query: schema.listQuotasQuery },
    responses: {
      200: json('A page of quotas.', schema.quotaList),
      ...invalid('limit must be at most 1000'),
      ...commonFailures,
    },
  }),
  get: createRoute({
    method: 'get',
    path: '/{tenant}',
    operationId: 'getQuota',
    tags,
    ...needs('machines:read'),
    summary: 'Get a tenant’s quota',
    description: 'Its limits and what it uses of them. Your own, or any tenant’s for the operator.',
    request: { params: schema.quotaParams },
    responses: {
      200: json('The limits, and what is used.', schema.quotaBody),
      ...wrongTenant,
      ...commonFailures,
    },
  }),
  set: createRoute({
    method: 'put',
    path: '/{tenant}',
    operationId: 'setQuota',
    tags,
    ...needs('*', { body: { kind: 'json', bytesMax: smallBodyBytesMax } }),
    summary: 'Set a tenant’s quota',
    description:
      'Replaces its limits. They apply to new machines and to machines that grow; what the tenant has stays. For the operator.',
    request: {
      params: schema.quotaParams,
      ...bodyOf(schema.setQuotaBody, { machines: 10, memory_mib: 16_384 }),
    },
    responses: {
      200: json('The limits, and what is used.', schema.quotaBody),
      ...invalid('machines must be at least 0'),
      ...commonFailures,
      ...bodyRefused,
    },
  }),
  remove: createRoute({
    method: 'delete',
    path: '/{tenant}',
    operationId: 'removeQuota',
    tags,
    ...needs('*', { body: { kind: 'empty' } }),
    summary: 'Remove a tenant’s quota',
    description: 'From then on, the host’s limits for every tenant apply. For the operator.',
    request: { params: schema.quotaParams },
    responses: {
      204: { description: 'Removed.' },
      ...wrongTenant,
      ...commonFailures,
      404: failure(
        'The tenant has no quota of its own.',
        'NOT_FOUND',
        "Tenant 'acme' has no quota of its own",
      ),
      ...bodyRefused,
    },
  }),
};

/** With paths below the noun's prefix. */
export const quotaRoutes: readonly RouteConfig[] = Object.values(routes);

export function quotasApp({ quotas }: HttpDeps): OpenAPIHono<HttpEnv> {
  const app = nounApp();
  app.openapi(routes.list, async (c) => {
    const page = await quotas.list(c.get('caller'), c.req.valid('query'));
    const entries = page.quotas.map(({ tenant, limits, updatedAt }) => ({
      tenant,
      limits: toNames(limits),
      updated_at: updatedAt,
    }));
    return c.json({ quotas: entries, total: page.total }, 200);
  });
  app.openapi(routes.get, async (c) => {
    return c.json(toBody(await quotas.get(c.get('caller'), c.req.valid('param').tenant)), 200);
  });
  app.openapi(routes.set, async (c) => {
    const { machines = null, vcpus = null, memory_mib = null, disk_mib = null } = c.req.valid('json');
    const limits = { machines, vcpus, memoryMib: memory_mib, diskMib: disk_mib };
    return c.json(toBody(await quotas.set(c.get('caller'), c.req.valid('param').tenant, limits)), 200);
  });
  app.openapi(routes.remove, async (c) => {
    await quotas.remove(c.get('caller'), c.req.valid('param').tenant);
    return c.body(null, 204);
  });
  return app;
}

function toBody({ tenant, limits, used, isDefault }: QuotaState): schema.QuotaBody {
  return { tenant, limits: toNames(limits), used: toNames(used), is_default: isDefault };
}

function toNames<T extends QuotaLimits | QuotaUsage>({ machines, vcpus, memoryMib, diskMib }: T) {
  return { machines, vcpus, memory_mib: memoryMib, disk_mib: diskMib } as {
    [Name in 'machines' | 'vcpus' | 'memory_mib' | 'disk_mib']: T['machines'];
  };
}
