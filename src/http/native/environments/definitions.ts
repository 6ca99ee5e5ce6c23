/** The documented and validated routes of `/api/v1/environments`; their handlers are in `routes.ts`. */
import { createRoute, type RouteConfig } from '@hono/zod-openapi';
import { bodyBytesMax, needs } from '../../access.ts';
import { bodyOf, bodyRefused, commonFailures, failure, invalid, json } from '../../documented.ts';
import * as schema from './schema.ts';

const tags = ['environments'];
const wrongId = invalid('id must have at most 128 characters');
const notFound = {
  404: failure('No such environment.', 'NOT_FOUND', 'Environment not found: ci-42'),
} as const;
const busy = {
  409: failure(
    'Another action on it is under way.',
    'CONFLICT',
    "Environment 'ci-42' is being created",
    true,
  ),
} as const;

const action = (name: 'start' | 'stop', summary: string, description: string) =>
  createRoute({
    method: 'post',
    path: `/{id}/${name}`,
    operationId: `${name}Environment`,
    tags,
    ...needs('machines:write', { body: { kind: 'empty' } }),
    summary,
    description,
    request: { params: schema.environmentParams },
    responses: {
      200: json('The environment and its machines.', schema.environmentDetail),
      ...wrongId,
      ...commonFailures,
      ...notFound,
      ...busy,
      ...bodyRefused,
    },
  });

export const routes = {
  create: createRoute({
    method: 'post',
    path: '/',
    operationId: 'createEnvironment',
    tags,
    ...needs('machines:write', { body: { kind: 'json', bytesMax: bodyBytesMax } }),
    summary: 'Create an environment',
    description:
      'Creates and starts its machines, and answers when each runs or has failed. `warnings` names those that failed; when all failed, nothing is left.',
    request: bodyOf(schema.createEnvironmentBody, {
      id: 'ci-42',
      owner: 'alice',
      lifetime_seconds: 3600,
      machines: [{ name: 'ci-42-web', vcpu_count: 1, mem_size_mib: 256, image: 'busybox' }],
    }),
    responses: {
      201: json('The environment and its machines.', schema.environmentDetail),
      ...invalid('vcpu_count must be at least 1'),
      ...commonFailures,
      404: failure('No such image or template.', 'NOT_FOUND', 'No image "alpine-3.20"'),
      ...bodyRefused,
      409: failure('A name is taken.', 'CONFLICT', "Environment 'ci-42' already exists"),
    },
  }),
  list: createRoute({
    method: 'get',
    path: '/',
    operationId: 'listEnvironments',
    tags,
    ...needs('machines:read', { query: 'declared' }),
    summary: 'List environments',
    description: 'A page of your environments, newest first.',
    request: { query: schema.listEnvironmentsQuery },
    responses: {
      200: json('A page of environments.', schema.environmentList),
      ...invalid('limit must be at most 1000'),
      ...commonFailures,
    },
  }),
  get: createRoute({
    method: 'get',
    path: '/{id}',
    operationId: 'getEnvironment',
    tags,
    ...needs('machines:read'),
    summary: 'Get an environment',
    request: { params: schema.environmentParams },
    responses: {
      200: json('The environment and its machines.', schema.environmentDetail),
      ...wrongId,
      ...commonFailures,
      ...notFound,
    },
  }),
  extend: createRoute({
    method: 'post',
    path: '/{id}/extend',
    operationId: 'extendEnvironment',
    tags,
    ...needs('machines:write', { body: { kind: 'json', bytesMax: bodyBytesMax } }),
    summary: 'Set an environment’s lifetime',
    description: 'Counted from now. What is longer than the host allows is shortened, and a warning says so.',
    request: {
      params: schema.environmentParams,
      ...bodyOf(schema.extendEnvironmentBody, { lifetime_seconds: 3600 }),
    },
    responses: {
      200: json('The environment and its machines.', schema.environmentDetail),
      ...invalid('lifetime_seconds must be at least 1'),
      ...commonFailures,
      ...notFound,
      ...bodyRefused,
    },
  }),
  stop: action(
    'stop',
    'Stop an environment',
    'Pauses its machines, or stops those whose engine cannot pause. Its lifetime stands still. When that fails for a machine, the others are stopped and the environment stays active.',
  ),
  start: action(
    'start',
    'Start an environment',
    'Resumes or starts its machines. The rest of its lifetime begins.',
  ),
  remove: createRoute({
    method: 'delete',
    path: '/{id}',
    operationId: 'deleteEnvironment',
    tags,
    ...needs('machines:write', { body: { kind: 'empty' } }),
    summary: 'Delete an environment',
    description:
      'Deletes its machines, whatever state they are in, and then the environment. When a machine cannot be deleted, the environment stays with it and a warning says so.',
    request: { params: schema.environmentParams },
    responses: {
      204: { description: 'Deleted, with its machines.' },
      ...wrongId,
      ...commonFailures,
      ...notFound,
      ...busy,
      ...bodyRefused,
    },
  }),
};

/** With paths below the noun's prefix. */
export const environmentRoutes: readonly RouteConfig[] = Object.values(routes);
