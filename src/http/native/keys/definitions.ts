/** The documented and validated routes of `/api/v1/keys`; their handlers are in `routes.ts`. */
import { createRoute, type RouteConfig } from '@hono/zod-openapi';
import { needs, smallBodyBytesMax } from '../../access.ts';
import { bodyOf, bodyRefused, commonFailures, failure, invalid, json } from '../../documented.ts';
import * as schema from './schema.ts';

const failures = {
  ...commonFailures,
  403: failure(
    'The key lacks the scope `*`; or authentication is off and the request comes from another site’s page.',
    'FORBIDDEN',
    'Insufficient permissions for this action',
  ),
} as const;
const notFound = {
  404: failure('The key does not exist.', 'NOT_FOUND', "Key with id 'm4t8w1x6c3ra' not found"),
} as const;
const wrongId = invalid('id must have at most 128 characters');
const tags = ['keys'];
const shared = { tags, ...needs('*', { body: { kind: 'empty' } }) };

export const routes = {
  create: createRoute({
    method: 'post',
    path: '/',
    operationId: 'createKey',
    tags,
    ...needs('*', { body: { kind: 'json', bytesMax: smallBodyBytesMax } }),
    summary: 'Create a key',
    description:
      'Returns the key’s secret, which is never shown again: store it. A tenant can have 1000 keys that are neither revoked nor expired.',
    request: bodyOf(schema.createKeyBody, {
      name: 'ci',
      scopes: ['machines:read', 'machines:exec'],
      expires_at: '2126-11-22T08:30:00Z',
    }),
    responses: {
      201: json('The key with its secret. The answer must not be cached.', schema.createdKeyBody),
      ...invalid('scopes must not be empty'),
      ...failures,
      ...bodyRefused,
      409: failure(
        'The tenant has 1000 valid keys already.',
        'CONFLICT',
        "Tenant 'default' has 1000 keys already",
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
      'Returns one page of your tenant’s keys, newest first; with the operator’s key, those of all tenants. Includes revoked and expired keys, the last 1000 of each tenant. The operator’s own key is a file on the host and is not listed.',
    request: { query: schema.listKeysQuery },
    responses: {
      200: json('One page of keys.', schema.keyList),
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
    description: 'Returns a key of your tenant, without its secret.',
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
      'Ends the key and all keys that were created with it at once; other daemons on the same database may accept them for one more second. The key stays listed, with `revoked_at`. Revoking it again changes nothing.',
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
