/** The routes of `/api/v1/operations`: running operations, and why others failed. */
import { createRoute, type OpenAPIHono, type RouteConfig } from '@hono/zod-openapi';
import type { Operation } from '../../../core/operations/operation.ts';
import { needs } from '../../access.ts';
import type { HttpDeps, HttpEnv } from '../../context.ts';
import { commonFailures, failure, invalid, json, nounApp } from '../../documented.ts';
import { operationFailureText } from '../../host-paths.ts';
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
      'Returns one page of running and ended operations on your machines and images, newest first. The oldest ended ones are removed.',
    request: { query: schema.listQuery },
    responses: {
      200: json('One page of operations.', schema.operationList),
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
    description: 'The `operation_id` of a machine is the id of its open operation.',
    request: { params: schema.operationParams },
    responses: {
      200: json('The operation.', schema.operationBody),
      ...invalid('id must have at most 128 characters'),
      ...commonFailures,
      404: failure(
        'The operation does not exist, or was removed.',
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
    const { machine, state: states, limit, offset } = c.req.valid('query');
    const { tenant, isOperator } = c.get('caller');
    const page = await operations.list(tenant, { machine, states, limit, offset });
    return c.json(
      { operations: page.operations.map((each) => toBody(each, isOperator)), total: page.total },
      200,
    );
  });
  app.openapi(routes.get, async (c) => {
    const { tenant, isOperator } = c.get('caller');
    const operation = await operations.get(tenant, c.req.valid('param').id);
    return c.json(toBody(operation, isOperator), 200);
  });
  return app;
}

/** Field by field: parameters and step outputs are internal. */
function toBody(operation: Operation, isOperator: boolean): schema.OperationBody {
  const { failure: reason } = operation;
  return {
    id: operation.id,
    kind: operation.kind,
    subjects: operation.subjects.map(({ kind, id }) => ({ kind, id })),
    machine_id: operation.subjects.find(({ kind }) => kind === 'machine')?.id ?? null,
    state: operation.state,
    cancel_requested: operation.isCancelRequested,
    steps: operation.steps.map(({ name, phase, at }) => ({ name, phase, at })),
    failure: reason && {
      code: reason.code,
      message: operationFailureText(operation, isOperator),
      step: reason.step,
    },
    created_at: operation.createdAt,
    updated_at: operation.updatedAt,
  };
}
