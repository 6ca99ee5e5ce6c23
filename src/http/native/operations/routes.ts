/** `/operations`: running operations, and why others failed. */
import { createRoute, type OpenAPIHono, type RouteConfig } from '@hono/zod-openapi';
import type { Operation } from '../../../core/operations/operation.ts';
import { needs } from '../../access.ts';
import type { HttpDeps, HttpEnv } from '../../context.ts';
import { commonFailures, failure, invalid, json, nounApp } from '../../documented.ts';
import * as schema from './schema.ts';

const tags = ['operations'];

const routes = {
  list: createRoute({
    method: 'get',
    path: '/',
    operationId: 'listOperations',
    tags,
    ...needs('machines:read', { query: 'declared' }),
    summary: 'List operations',
    description:
      'A page of what was and is being done to your machines, newest first. The oldest that ended are forgotten in time.',
    request: { query: schema.listQuery },
    responses: {
      200: json('A page of operations, newest first.', schema.operationList),
      ...invalid('limit must be at most 1000'),
      ...commonFailures,
    },
  }),
  get: createRoute({
    method: 'get',
    path: '/{id}',
    operationId: 'getOperation',
    tags,
    ...needs('machines:read'),
    summary: 'Get an operation',
    description: 'A machine names the one under way in its `operation_id`.',
    request: { params: schema.operationParams },
    responses: {
      200: json('The operation.', schema.operationBody),
      ...invalid('id must have at most 128 characters'),
      ...commonFailures,
      404: failure(
        'No such operation, or it is forgotten.',
        'NOT_FOUND',
        "Operation with id 'abc123' not found",
      ),
    },
  }),
};

/** With paths below the noun's prefix; the OpenAPI document is made from them. */
export const operationRoutes: readonly RouteConfig[] = Object.values(routes);

export function operationsApp({ operations }: HttpDeps): OpenAPIHono<HttpEnv> {
  const app = nounApp();
  app.openapi(routes.list, async (c) => {
    const { machine, state, limit, offset } = c.req.valid('query');
    const states = state === undefined ? undefined : [state];
    const page = await operations.list(c.get('caller').tenant, { machine, states, limit, offset });
    return c.json({ operations: page.operations.map(toBody), total: page.total }, 200);
  });
  app.openapi(routes.get, async (c) => {
    const operation = await operations.get(c.get('caller').tenant, c.req.valid('param').id);
    return c.json(toBody(operation), 200);
  });
  return app;
}

/** Field by field: parameters and step outputs are internal. */
function toBody(operation: Operation): schema.OperationBody {
  const { failure: reason } = operation;
  return {
    id: operation.id,
    kind: operation.kind,
    subjects: operation.subjects.map(({ kind, id }) => ({ kind, id })),
    machine_id: operation.subjects.find(({ kind }) => kind === 'machine')?.id ?? null,
    state: operation.state,
    cancel_requested: operation.isCancelRequested,
    steps: operation.steps.map(({ name, phase, at }) => ({ name, phase, at })),
    failure: reason && { code: reason.code, message: reason.message, step: reason.step },
    created_at: operation.createdAt,
    updated_at: operation.updatedAt,
  };
}
