/** The documented and validated routes of `/api/v1/keys`; their handlers are in `routes.ts`. */
import { createRoute, type RouteConfig } from '@hono/zod-openapi';
import { needs, smallBodyBytesMax } from '../../access.ts';
import { bodyOf, bodyRefused, commonFailures, failure, invalid, json } from '../../documented.ts';
import * as schema from './schema.ts';

const failures = {
  ...commonFailures,
  403: failure(
    'The key is not one for everything; or, while authentication is off, the request comes from another host’s page.',
    'FORBIDDEN',
    'Insufficient permissions for this action',
  ),
} as const;
const notFound = {
  404: failure('No such key.', 'NOT_FOUND', "Key with id 'm4t8w1x6c3ra' not found"),
} as const;
const wrongId = invalid('id must have at most 128 characters');
const tags = ['keys'];
const shared = { tags, ...needs('*') };

export const routes = {
  create: createRoute({
    method: 'post',
    path: '/',
    operationId: 'createKey',
    tags,
    ...needs('*', { body: { kind: 'json', bytesMax: smallBodyBytesMax } }),
    summary: 'Create a key',
    description:
      'The answer has the key itself, once: keep it. A tenant has at most 1000 keys that are neither revoked nor expired.',
    request: bodyOf(schema.createKeyBody, {
      name: 'ci',
      scopes: ['machines:read', 'machines:exec'],
      expires_at: '2126-11-22T08:30:00Z',
    }),
    responses: {
      201: json('The key, with its secret. Not to be cached.', schema.createdKeyBody),
      ...invalid('scopes must not be empty'),
      ...failures,
      ...bodyRefused,
      409: failure(
        'The tenant has all the keys it may.',
        'CONFLICT',
        "tenant 'default' has 1000 keys already",
      ),
    },
  }),
  list: createRoute({
    method: 'get',
    path: '/',
    operationId: 'listKeys',
    tags,
    ...needs('*', { query: 'declared' }),
    summary: 'List keys',
    description:
      'A page of your tenant’s keys, or everyone’s for the operator, newest first; ended ones too, of which a tenant’s last 1000 are remembered. The operator’s own key, which is a file of the host, is not among them.',
    request: { query: schema.listKeysQuery },
    responses: {
      200: json('A page of keys, newest first.', schema.keyList),
      ...invalid('limit must be at most 1000'),
      ...failures,
    },
  }),
  get: createRoute({
    method: 'get',
    path: '/{id}',
    operationId: 'getKey',
    ...shared,
    summary: 'Get a key',
    request: { params: schema.keyParams },
    responses: {
      200: json('The key.', schema.keyBody),
      ...wrongId,
      ...failures,
      ...notFound,
    },
  }),
  revoke: createRoute({
    method: 'delete',
    path: '/{id}',
    operationId: 'revokeKey',
    ...shared,
    summary: 'Revoke a key',
    description:
      'It and all keys made with it are good for nothing from the answer on; another daemon on the same database may take a second. The key stays listed, with `revoked_at`. Revoking it again changes nothing.',
    request: { params: schema.keyParams },
    responses: {
      204: { description: 'Revoked.' },
      ...wrongId,
      ...failures,
      ...notFound,
      ...bodyRefused,
    },
  }),
};

/** With paths below the noun's prefix. */
export const keyRoutes: readonly RouteConfig[] = Object.values(routes);
