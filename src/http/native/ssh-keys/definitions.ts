/** The documented and validated routes of `/api/v1/ssh-keys`; their handlers are in `routes.ts`. */
import { createRoute, type RouteConfig } from '@hono/zod-openapi';
import { needs, smallBodyBytesMax } from '../../access.ts';
import { bodyOf, bodyRefused, commonFailures, failure, invalid, json } from '../../documented.ts';
import * as schema from './schema.ts';

const notFound = {
  404: failure('No such SSH key.', 'NOT_FOUND', "SSH key 'laptop' not found"),
} as const;
const wrongId = invalid('id must have at most 128 characters');
const tags = ['ssh-keys'];

export const routes = {
  create: createRoute({
    method: 'post',
    path: '/',
    operationId: 'createSshKey',
    tags,
    ...needs('machines:exec', { body: { kind: 'json', bytesMax: smallBodyBytesMax } }),
    summary: 'Register an SSH key',
    description:
      'Whoever has its private half can enter your tenant’s machines through the SSH gateway: `ssh web@host -p 2222`. A tenant can have 1000.',
    request: bodyOf(schema.createSshKeyBody, {
      name: 'laptop',
      public_key:
        'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGYZyk6oQ1ZLYO3FBVC2Nn5cZNa9nsDkBqyqvRz3vHTt me@laptop',
    }),
    responses: {
      201: json('The SSH key.', schema.sshKeyBody),
      ...invalid('This is not a public key'),
      ...commonFailures,
      ...bodyRefused,
      409: failure(
        'The key or its name is registered already, or there are 1000.',
        'CONFLICT',
        "SSH key with name 'laptop' already exists",
      ),
    },
  }),
  list: createRoute({
    method: 'get',
    path: '/',
    operationId: 'listSshKeys',
    tags,
    ...needs('machines:exec', { query: 'declared' }),
    summary: 'List SSH keys',
    description: 'A page of your tenant’s SSH keys, newest first.',
    request: { query: schema.listSshKeysQuery },
    responses: {
      200: json('A page of SSH keys, newest first.', schema.sshKeyList),
      ...invalid('limit must be at most 1000'),
      ...commonFailures,
    },
  }),
  get: createRoute({
    method: 'get',
    path: '/{id}',
    operationId: 'getSshKey',
    tags,
    ...needs('machines:exec'),
    summary: 'Get an SSH key',
    request: { params: schema.sshKeyParams },
    responses: { 200: json('The SSH key.', schema.sshKeyBody), ...wrongId, ...commonFailures, ...notFound },
  }),
  remove: createRoute({
    method: 'delete',
    path: '/{id}',
    operationId: 'deleteSshKey',
    tags,
    ...needs('machines:exec', { body: { kind: 'empty' } }),
    summary: 'Delete an SSH key',
    description: 'Ends the SSH connections that were made with it.',
    request: { params: schema.sshKeyParams },
    responses: {
      204: { description: 'Deleted.' },
      ...wrongId,
      ...commonFailures,
      ...notFound,
      ...bodyRefused,
    },
  }),
};

/** With paths below the noun's prefix. */
export const sshKeyRoutes: readonly RouteConfig[] = Object.values(routes);
