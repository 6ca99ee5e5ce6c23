/** The documented and validated routes of a machine's network; their handlers are in `network-routes.ts`. */
import { createRoute, type RouteConfig, z } from '@hono/zod-openapi';
import { needs, smallBodyBytesMax } from '../../access.ts';
import { bodyOf, bodyRefused, commonFailures, failure, invalid, json } from '../../documented.ts';
import { closedQuery } from '../../schema.ts';
import { deniedList, portChanged, portList, portRequest } from './network-schema.ts';
import { machineParams } from './schema.ts';

// Reads have no documented deadline.
const { 504: _, ...readFailures } = commonFailures;
const tags = ['machines'];
const notFound = {
  404: failure('The machine does not exist.', 'NOT_FOUND', "Machine with id 'abc123' not found"),
} as const;
const portParams = machineParams.extend({
  host_port: z
    .string()
    .regex(/^[1-9]\d{0,4}$/, 'must be a port of the host')
    .openapi({ param: { description: 'Port of the host.' }, example: '8080' }),
});

export const routes = {
  ports: createRoute({
    method: 'get',
    path: '/{id}/ports',
    operationId: 'listMachinePorts',
    tags,
    ...needs('machines:read'),
    summary: 'List published ports',
    description:
      'Returns the ports of the host that lead to the machine, in the order in which they were published.',
    request: { params: machineParams },
    responses: {
      200: json('The ports.', portList),
      ...invalid('id must have at most 128 characters'),
      ...readFailures,
      ...notFound,
    },
  }),
  publish: createRoute({
    method: 'post',
    path: '/{id}/ports',
    operationId: 'publishMachinePort',
    tags,
    ...needs('machines:write', { body: { kind: 'json', bytesMax: smallBodyBytesMax } }),
    summary: 'Publish a port',
    description:
      'Makes a port of the host lead to a port of the guest: at once, also while the machine runs. It stays until it is withdrawn or the machine is deleted.',
    request: { params: machineParams, ...bodyOf(portRequest, { guest_port: 80, host_port: 8080 }) },
    responses: {
      201: json('The published port.', portChanged),
      ...invalid('guest_port must be at least 1'),
      ...commonFailures,
      ...notFound,
      409: failure(
        'The machine has no network, or the port of the host is taken.',
        'CONFLICT',
        'Tcp port 8080 of the host is taken by another machine',
      ),
      ...bodyRefused,
    },
  }),
  unpublish: createRoute({
    method: 'delete',
    path: '/{id}/ports/{host_port}',
    operationId: 'unpublishMachinePort',
    tags,
    ...needs('machines:write', { body: { kind: 'empty' }, query: 'declared' }),
    summary: 'Withdraw a published port',
    description: 'Ends the port at once, with its connections, and frees it for other machines.',
    request: {
      params: portParams,
      query: closedQuery({
        protocol: z
          .enum(['tcp', 'udp'])
          .default('tcp')
          .openapi({ param: { description: 'Default: `tcp`.' } }),
      }),
    },
    responses: {
      200: json('The withdrawn port.', portChanged),
      ...invalid('host_port must be a port of the host'),
      ...commonFailures,
      404: failure(
        'The machine does not exist, or has not published the port.',
        'NOT_FOUND',
        'Machine web has not published tcp port 8080',
      ),
    },
  }),
  denied: createRoute({
    method: 'get',
    path: '/{id}/network/denied',
    operationId: 'listDeniedEgress',
    tags,
    ...needs('machines:read'),
    summary: 'List refused packets',
    description:
      'Returns what the egress policy has refused since the machine started, gathered by destination, newest first; at most 1000.',
    request: { params: machineParams },
    responses: {
      200: json('The destinations.', deniedList),
      ...invalid('id must have at most 128 characters'),
      ...readFailures,
      ...notFound,
    },
  }),
};

export const networkRoutes: readonly RouteConfig[] = Object.values(routes);
