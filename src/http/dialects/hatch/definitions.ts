/** The documented routes of `/vms` and `/routes`; their handlers are in `routes.ts`. */
import { createRoute, type RouteConfig, z } from '@hono/zod-openapi';
import { smallBodyBytesMax } from '../../access.ts';
import { bodyOf, json } from '../../documented.ts';
import { bodyRefused, common, conflict, failure, invalid, notFound, taken, timedOut } from './failures.ts';
import { needs } from './needs.ts';
import * as schema from './schema.ts';

/** Room for the longest command, each character escaped. */
const execBytesMax = 1024 * 1024;
const vms = { tags: ['vms'] };
const vm = json('The VM.', schema.vmBody);
const request = { params: schema.idParams };
const guestLost = {
  502: failure('The guest cannot be reached, or was lost.', 'failed to communicate with the vm'),
} as const;

export const routes = {
  list: createRoute({
    method: 'get',
    path: '/',
    operationId: 'listVMs',
    ...vms,
    ...needs('machines:read'),
    summary: 'List VMs',
    description: 'All of yours, newest first.',
    responses: { 200: json('The VMs.', z.array(schema.vmBody)), ...invalid, ...common },
  }),
  create: createRoute({
    method: 'post',
    path: '/',
    operationId: 'createVM',
    ...vms,
    ...needs('machines:write', smallBodyBytesMax),
    summary: 'Create and boot a VM',
    description: 'Answers when its guest is ready. Of a VM that does not boot nothing is left.',
    request: bodyOf(schema.createBody, { vcpu_count: 2, mem_mib: 1024, enable_network: true }),
    responses: { 201: vm, ...invalid, ...common, ...taken, ...bodyRefused },
  }),
  get: createRoute({
    method: 'get',
    path: '/{id}',
    operationId: 'getVM',
    ...vms,
    ...needs('machines:read'),
    summary: 'Get a VM',
    request,
    responses: { 200: vm, ...invalid, ...common, ...notFound },
  }),
  remove: createRoute({
    method: 'delete',
    path: '/{id}',
    operationId: 'deleteVM',
    ...vms,
    ...needs('machines:write'),
    summary: 'Delete a VM',
    description: 'Ends it first, whatever its state.',
    request,
    responses: {
      200: json('Deleted.', schema.deletedBody),
      ...invalid,
      ...common,
      ...notFound,
      ...timedOut,
      ...bodyRefused,
    },
  }),
  stop: createRoute({
    method: 'post',
    path: '/{id}/stop',
    operationId: 'stopVM',
    ...vms,
    ...needs('machines:write'),
    summary: 'Stop a VM',
    request,
    responses: { 200: vm, ...invalid, ...common, ...notFound, ...conflict, ...timedOut, ...bodyRefused },
  }),
  metrics: createRoute({
    method: 'get',
    path: '/{id}/metrics',
    operationId: 'getMetrics',
    ...vms,
    ...needs('machines:read'),
    summary: 'What a VM uses',
    request,
    responses: { 200: json('Its figures.', schema.metricsBody), ...invalid, ...common, ...notFound },
  }),
  exec: createRoute({
    method: 'post',
    path: '/{id}/exec',
    operationId: 'execVM',
    ...vms,
    ...needs('machines:exec', execBytesMax),
    summary: 'Run a shell command',
    description:
      'A command that is not done in time goes on: the answer has `timed_out`, and its log file in the guest.',
    request: { ...request, ...bodyOf(schema.execBody, { command: 'uname -r' }) },
    responses: {
      200: json('What it wrote, and how it ended.', schema.execResult),
      ...invalid,
      ...common,
      ...notFound,
      ...conflict,
      ...guestLost,
      ...timedOut,
      ...bodyRefused,
    },
  }),
  connect: createRoute({
    method: 'post',
    path: '/{id}/connect',
    operationId: 'connectVM',
    ...vms,
    ...needs('machines:exec', smallBodyBytesMax),
    summary: 'A certificate for SSH',
    description:
      'Signs a public key for five minutes. With it, `ssh -p PORT USERNAME@HOST` enters the VM; `agent` means root where the guest has no such user.',
    request: { ...request, ...bodyOf(schema.connectBody, { public_key: 'ssh-ed25519 AAAA' }) },
    responses: {
      200: json('A certificate, and where it is good.', schema.certificateBody),
      ...invalid,
      ...common,
      ...notFound,
      ...conflict,
      ...bodyRefused,
    },
  }),
  snapshot: createRoute({
    method: 'post',
    path: '/{id}/snapshot',
    operationId: 'snapshotVM',
    ...vms,
    ...needs('machines:write'),
    summary: 'Snapshot a VM',
    description:
      'Of a running VM. It is not up afterwards, and `snapshotted`: a restore continues it, and so do requests to its routes and SSH. If no snapshot can be made, it goes on.',
    request,
    responses: {
      201: json('The snapshot.', schema.snapshotBody),
      ...invalid,
      ...common,
      ...notFound,
      ...conflict,
      ...bodyRefused,
    },
  }),
  restore: createRoute({
    method: 'post',
    path: '/{id}/restore',
    operationId: 'restoreVM',
    ...vms,
    ...needs('machines:write'),
    summary: 'Restore a VM',
    description: 'Continues a `snapshotted` VM where it was.',
    request,
    responses: {
      200: json('The VM, which runs.', schema.vmBody),
      ...invalid,
      ...common,
      ...notFound,
      ...conflict,
      ...bodyRefused,
    },
  }),
  snapshots: createRoute({
    method: 'get',
    path: '/{id}/snapshots',
    operationId: 'listSnapshots',
    ...vms,
    ...needs('machines:read'),
    summary: 'List a VM’s snapshots',
    description: 'Newest first, also those that were made otherwise.',
    request,
    responses: {
      200: json('Its snapshots.', z.array(schema.snapshotBody)),
      ...invalid,
      ...common,
      ...notFound,
    },
  }),
  createRoute: createRoute({
    method: 'post',
    path: '/{id}/routes',
    operationId: 'createRoute',
    tags: ['routes'],
    ...needs('machines:write', smallBodyBytesMax),
    summary: 'Publish a port of a VM',
    description:
      'The reverse proxy leads its hosts to the port, and wakes the VM unless `auto_wake` is false. Without `subdomain`, one is made up.',
    request: { ...request, ...bodyOf(schema.routeCreateBody, { target_port: 8080 }) },
    responses: {
      201: json('The route.', schema.routeBody),
      ...invalid,
      ...common,
      ...notFound,
      ...conflict,
      ...bodyRefused,
    },
  }),
  listRoutes: createRoute({
    method: 'get',
    path: '/{id}/routes',
    operationId: 'listRoutes',
    tags: ['routes'],
    ...needs('machines:read'),
    summary: 'List a VM’s routes',
    description: 'Newest first.',
    request,
    responses: { 200: json('Its routes.', z.array(schema.routeBody)), ...invalid, ...common, ...notFound },
  }),
};

export const deleteRoute = createRoute({
  method: 'delete',
  path: '/{id}',
  operationId: 'deleteRoute',
  tags: ['routes'],
  ...needs('machines:write'),
  summary: 'Delete a route',
  request,
  responses: {
    200: json('Deleted.', schema.deletedBody),
    ...invalid,
    ...common,
    ...notFound,
    ...bodyRefused,
  },
});

/** With paths below the noun's prefix. */
export const vmRoutes: readonly RouteConfig[] = Object.values(routes);
