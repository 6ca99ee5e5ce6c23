/** The documented and validated routes of `/api/v1/routes` and `/machines/{id}/routes`; their handlers are in `routes.ts`. */
import { createRoute, type RouteConfig } from '@hono/zod-openapi';
import { needs, smallBodyBytesMax } from '../../access.ts';
import { machineParams } from '../../dialects/machines/schema.ts';
import { bodyOf, bodyRefused, commonFailures, failure, invalid, json } from '../../documented.ts';
import * as schema from './schema.ts';

const notFound = {
  404: failure('No such route.', 'NOT_FOUND', "Route with id 'shop' not found"),
} as const;
const noMachine = {
  404: failure('No such machine.', 'NOT_FOUND', "Machine with id 'web' not found"),
} as const;
const taken = {
  409: failure(
    'The subdomain is taken, the machine is being deleted, or there are 1000 routes.',
    'CONFLICT',
    'Subdomain "shop" is already taken',
  ),
} as const;
const isPublic = {
  409: failure('The route is public.', 'CONFLICT', 'route shop is public and needs no token'),
} as const;
const wrongId = invalid('id must have at most 128 characters');
const tags = ['routes'];
const write = needs('machines:write', { body: { kind: 'json', bytesMax: smallBodyBytesMax } });

export const machineRouteDefinitions = {
  createOf: createRoute({
    method: 'post',
    path: '/{id}/routes',
    operationId: 'createMachineRoute',
    tags,
    ...write,
    summary: 'Create a route to a machine',
    description:
      'Gives a port of the machine a name in the reverse proxy’s domain: `shop.flotilla.example`. The port need not be exposed.',
    request: { params: machineParams, ...bodyOf(schema.createMachineRouteBody, { target_port: 8080 }) },
    responses: {
      201: json('The route.', schema.routeBody),
      ...invalid('target_port must be at least 1'),
      ...commonFailures,
      ...noMachine,
      ...bodyRefused,
      ...taken,
    },
  }),
  listOf: createRoute({
    method: 'get',
    path: '/{id}/routes',
    operationId: 'listMachineRoutes',
    tags,
    ...needs('machines:read', { query: 'declared' }),
    summary: 'List the routes of a machine',
    request: { params: machineParams, query: schema.listRoutesQuery },
    responses: {
      200: json('A page of routes, newest first.', schema.routeList),
      ...invalid('limit must be at most 1000'),
      ...commonFailures,
      ...noMachine,
    },
  }),
};

export const routes = {
  create: createRoute({
    method: 'post',
    path: '/',
    operationId: 'createRoute',
    tags,
    ...write,
    summary: 'Create a route',
    description: 'As `POST /machines/{id}/routes`, with the machine in the body.',
    request: bodyOf(schema.createRouteBody, { machine: 'web', subdomain: 'shop', target_port: 8080 }),
    responses: {
      201: json('The route.', schema.routeBody),
      ...invalid('target_port must be at least 1'),
      ...commonFailures,
      ...noMachine,
      ...bodyRefused,
      ...taken,
    },
  }),
  list: createRoute({
    method: 'get',
    path: '/',
    operationId: 'listRoutes',
    tags,
    ...needs('machines:read', { query: 'declared' }),
    summary: 'List routes',
    description: 'A page of your tenant’s routes, newest first.',
    request: { query: schema.listAllRoutesQuery },
    responses: {
      200: json('A page of routes, newest first.', schema.routeList),
      ...invalid('limit must be at most 1000'),
      ...commonFailures,
      ...noMachine,
    },
  }),
  get: createRoute({
    method: 'get',
    path: '/{id}',
    operationId: 'getRoute',
    tags,
    ...needs('machines:read'),
    summary: 'Get a route',
    request: { params: schema.routeParams },
    responses: {
      200: json('The route.', schema.routeBody),
      ...wrongId,
      ...commonFailures,
      ...notFound,
    },
  }),
  update: createRoute({
    method: 'patch',
    path: '/{id}',
    operationId: 'updateRoute',
    tags,
    ...write,
    summary: 'Change a route',
    description: 'New requests go to the new port at once.',
    request: { params: schema.routeParams, ...bodyOf(schema.updateRouteBody, { target_port: 8081 }) },
    responses: {
      200: json('The route.', schema.routeBody),
      ...invalid('target_port must be at least 1'),
      ...commonFailures,
      ...notFound,
      ...bodyRefused,
    },
  }),
  createToken: createRoute({
    method: 'post',
    path: '/{id}/tokens',
    operationId: 'createRouteToken',
    tags,
    ...write,
    summary: 'Make a token for a private route',
    description:
      'Whoever has the token may send requests through the route until it expires, or until all tokens of the route are revoked.',
    request: {
      params: schema.routeParams,
      body: { ...bodyOf(schema.createTokenBody, { expires_in_seconds: 86_400 }).body, required: false },
    },
    responses: {
      201: json('The token. It is not shown again.', schema.tokenBody),
      ...invalid('expires_in_seconds must be at most 31536000'),
      ...commonFailures,
      ...notFound,
      ...isPublic,
      ...bodyRefused,
    },
  }),
  revokeTokens: createRoute({
    method: 'delete',
    path: '/{id}/tokens',
    operationId: 'revokeRouteTokens',
    tags,
    ...needs('machines:write', { body: { kind: 'empty' } }),
    summary: 'Revoke all tokens of a private route',
    request: { params: schema.routeParams },
    responses: {
      204: { description: 'Revoked. Connections that are open stay open.' },
      ...wrongId,
      ...commonFailures,
      ...notFound,
      ...isPublic,
      ...bodyRefused,
    },
  }),
  remove: createRoute({
    method: 'delete',
    path: '/{id}',
    operationId: 'deleteRoute',
    tags,
    ...needs('machines:write', { body: { kind: 'empty' } }),
    summary: 'Delete a route',
    request: { params: schema.routeParams },
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
export const routeRoutes: readonly RouteConfig[] = Object.values(routes);
export const machineRouteRoutes: readonly RouteConfig[] = Object.values(machineRouteDefinitions);
