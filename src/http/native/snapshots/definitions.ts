/** The documented and validated routes of snapshots and forks; their handlers are in `routes.ts`. */
import { createRoute, type RouteConfig } from '@hono/zod-openapi';
import { needs, smallBodyBytesMax } from '../../access.ts';
import { machineBody, machineParams } from '../../dialects/machines/schema.ts';
import { bodyOf, bodyRefused, commonFailures, failure, invalid, json } from '../../documented.ts';
import * as schema from './schema.ts';

const notFound = {
  404: failure('No such snapshot.', 'NOT_FOUND', "Snapshot with id 'before-upgrade' not found"),
} as const;
const noMachine = {
  404: failure('No such machine.', 'NOT_FOUND', "Machine with id 'web' not found"),
} as const;
const refused = {
  400: failure(
    'The request is invalid, the machine’s state does not allow it, or its engine cannot copy memory.',
    'BAD_REQUEST',
    "Cannot snapshot machine in 'stopping' state",
  ),
} as const;
const conflict = (description: string, message: string) => ({
  409: failure(description, 'CONFLICT', message),
});
const guestUnreachable = {
  502: failure('The guest cannot be reached.', 'GUEST_ERROR', 'The guest did not answer', true),
} as const;
const tags = ['snapshots'];
const write = needs('machines:write', { body: { kind: 'json', bytesMax: smallBodyBytesMax } });
const read = needs('machines:read', { query: 'declared' });

/** A body that may be left out. */
const optional = <T extends Parameters<typeof bodyOf>[0]>(
  ...[body, example]: Parameters<typeof bodyOf<T>>
) => ({
  body: { ...bodyOf(body, example).body, required: false },
});

export const machineSnapshotDefinitions = {
  createOf: createRoute({
    method: 'post',
    path: '/{id}/snapshots',
    operationId: 'createSnapshot',
    tags,
    ...write,
    summary: 'Take a snapshot of a machine',
    description: `
Copies the disk and, unless \`memory\` is false, the memory of the machine at one moment. A running machine stands still
for that moment and goes on. The snapshot stays when the machine is changed, set back or deleted.
`.trim(),
    request: {
      params: machineParams,
      ...optional(schema.createSnapshotBody, { name: 'before-upgrade' }),
    },
    responses: {
      201: json('The snapshot.', schema.snapshotBody),
      ...refused,
      ...commonFailures,
      ...noMachine,
      ...bodyRefused,
      ...guestUnreachable,
      ...conflict(
        'The name is taken, or the machine is being changed.',
        "Snapshot with name 'before-upgrade' already exists",
      ),
    },
  }),
  listOf: createRoute({
    method: 'get',
    path: '/{id}/snapshots',
    operationId: 'listMachineSnapshots',
    tags,
    ...read,
    summary: 'List the snapshots of a machine',
    description: 'Also of a deleted machine, by its id.',
    request: { params: machineParams, query: schema.listSnapshotsQuery },
    responses: {
      200: json('A page of snapshots, newest first.', schema.snapshotList),
      ...invalid('limit must be at most 1000'),
      ...commonFailures,
      ...noMachine,
    },
  }),
  fork: createRoute({
    method: 'post',
    path: '/{id}/fork',
    operationId: 'forkMachine',
    tags,
    ...write,
    summary: 'Fork a machine',
    description: `
Makes machines that go on from this moment of the machine, each with its own name, addresses and disk; the machine goes on
as well. Without room for all of them none is made. If one cannot be made or started afterwards, its \`error\` says why, and the
answer is 201 as long as one was made.
`.trim(),
    request: { params: machineParams, ...optional(schema.forkBody, { count: 3, name: 'worker' }) },
    responses: {
      201: json('The machines, in the order of their numbers.', schema.forkedBody),
      ...refused,
      ...commonFailures,
      ...noMachine,
      ...bodyRefused,
      ...guestUnreachable,
      ...conflict(
        'A name is taken, or the machine is being changed.',
        "Machine with name 'worker-1' already exists",
      ),
    },
  }),
};

export const routes = {
  list: createRoute({
    method: 'get',
    path: '/',
    operationId: 'listSnapshots',
    tags,
    ...read,
    summary: 'List snapshots',
    request: { query: schema.listAllSnapshotsQuery },
    responses: {
      200: json('A page of snapshots, newest first.', schema.snapshotList),
      ...invalid('limit must be at most 1000'),
      ...commonFailures,
      ...noMachine,
    },
  }),
  get: createRoute({
    method: 'get',
    path: '/{id}',
    operationId: 'getSnapshot',
    tags,
    ...needs('machines:read'),
    summary: 'Get a snapshot',
    request: { params: schema.snapshotParams },
    responses: {
      200: json('The snapshot.', schema.snapshotBody),
      ...invalid('id must have at most 128 characters'),
      ...commonFailures,
      ...notFound,
    },
  }),
  restore: createRoute({
    method: 'post',
    path: '/{id}/restore',
    operationId: 'restoreSnapshot',
    tags,
    ...write,
    summary: 'Set a machine back',
    description: `
Sets the machine that the snapshot was taken of back to it: the disk and, if the snapshot has that, the memory. What the machine
has now is lost, also when it runs. Its name, labels, network and policies stay. Connections end.
`.trim(),
    request: { params: schema.snapshotParams, ...optional(schema.restoreSnapshotBody, { start: true }) },
    responses: {
      200: json('The machine.', machineBody),
      ...invalid('id must have at most 128 characters'),
      ...commonFailures,
      404: failure(
        'No such snapshot, or its machine is gone.',
        'NOT_FOUND',
        "Snapshot with id 'before-upgrade' not found",
      ),
      ...bodyRefused,
      ...guestUnreachable,
      ...conflict(
        'The machine or the snapshot is being changed, or the snapshot’s files are damaged.',
        'Snapshot before-upgrade is being made',
      ),
    },
  }),
  remove: createRoute({
    method: 'delete',
    path: '/{id}',
    operationId: 'deleteSnapshot',
    tags,
    ...needs('machines:write', { body: { kind: 'empty' } }),
    summary: 'Delete a snapshot',
    description: 'Machines made from it, and later snapshots of its machine, stay as they are.',
    request: { params: schema.snapshotParams },
    responses: {
      204: { description: 'Deleted.' },
      ...invalid('id must have at most 128 characters'),
      ...commonFailures,
      ...notFound,
      ...bodyRefused,
      ...conflict('It is in use at this moment.', 'Snapshot before-upgrade is being made'),
    },
  }),
};

/** With paths below the noun's prefix. */
export const snapshotRoutes: readonly RouteConfig[] = Object.values(routes);
export const machineSnapshotRoutes: readonly RouteConfig[] = Object.values(machineSnapshotDefinitions);
