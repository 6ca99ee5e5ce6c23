/** The documented and validated routes of `/machines`; their handlers are in `routes.ts`. */
import { createRoute, type RouteConfig, z } from '@hono/zod-openapi';
import { bodyBytesMax, needs, smallBodyBytesMax } from '../../access.ts';
import { bodyOf, bodyRefused, commonFailures, failure, invalid, json } from '../../documented.ts';
import { closedQuery } from '../../schema.ts';
import * as schema from './schema.ts';
import { updateBody } from './update-schema.ts';

export const ndjson = 'application/x-ndjson';

// Reads have no documented deadline.
const { 504: _, ...readFailures } = commonFailures;
const refused = (message: string) => ({
  400: failure('The request is wrong, or the machine’s state forbids it.', 'BAD_REQUEST', message),
});
const notFound = {
  404: failure('No such machine.', 'NOT_FOUND', "Machine with id 'abc123' not found"),
} as const;
const changed = {
  409: failure(
    'Somebody else changed the machine meanwhile.',
    'CONFLICT',
    'machine k3v9x2m1q8zt changed while it was being changed',
  ),
} as const;
const guestLost = (description: string, retryable: boolean) => ({
  502: failure(description, 'VSOCK_ERROR', 'Failed to communicate with VM', retryable),
});
const guestUnreachable = guestLost('The guest cannot be reached.', true);
const machineAnswer = json('The machine.', schema.machineBody);
const tags = ['machines'];

/**
 * A route that acts on a machine and answers with its new state; `failures`: its own, in addition to the
 * common ones.
 */
const actionRoute = <Name extends string, Failures extends object, Query extends z.ZodObject>(
  name: Name,
  summary: string,
  description: string,
  failures: Failures,
  query: Query,
) =>
  createRoute({
    method: 'post',
    path: `/{id}/${name}`,
    operationId: `${name}Machine`,
    tags,
    ...needs('machines:write', { query: 'declared' }),
    summary,
    description,
    request: { params: schema.machineParams, query },
    responses: {
      200: machineAnswer,
      ...refused(`Cannot ${name} machine in 'pending' state`),
      ...commonFailures,
      ...notFound,
      ...changed,
      ...bodyRefused,
      ...failures,
    },
  });

export const routes = {
  create: createRoute({
    method: 'post',
    path: '/',
    operationId: 'createMachine',
    tags,
    ...needs('machines:write', { body: { kind: 'json', bytesMax: smallBodyBytesMax } }),
    summary: 'Create a machine',
    description: 'Records it and prepares its disk; it does not run before it is started.',
    request: bodyOf(schema.createBody, {
      name: 'web-server',
      vcpu_count: 1,
      mem_size_mib: 256,
      image: 'busybox',
      exposed_ports: [8080],
      labels: { team: 'web' },
    }),
    responses: {
      201: machineAnswer,
      ...invalid('vcpu_count must be at least 1'),
      ...commonFailures,
      404: failure('No such image.', 'NOT_FOUND', "no image 'alpine'"),
      409: failure('The name is taken.', 'CONFLICT', "Machine with name 'web-server' already exists"),
      ...bodyRefused,
    },
  }),
  list: createRoute({
    method: 'get',
    path: '/',
    operationId: 'listMachines',
    tags,
    ...needs('machines:read', { query: 'declared' }),
    summary: 'List machines',
    description:
      'A page of your machines, newest first unless `sort` says otherwise. `total` counts all that match.',
    request: { query: schema.listQuery },
    responses: {
      200: json('A page of machines.', schema.machineList),
      ...invalid('limit must be at most 1000'),
      ...readFailures,
    },
  }),
  get: createRoute({
    method: 'get',
    path: '/{id}',
    operationId: 'getMachine',
    tags,
    ...needs('machines:read'),
    summary: 'Get a machine',
    request: { params: schema.machineParams },
    responses: {
      200: machineAnswer,
      ...invalid('id must have at most 128 characters'),
      ...readFailures,
      ...notFound,
    },
  }),
  update: createRoute({
    method: 'patch',
    path: '/{id}',
    operationId: 'updateMachine',
    tags,
    ...needs('machines:write', { body: { kind: 'json', bytesMax: smallBodyBytesMax } }),
    summary: 'Change a machine',
    description: `
Changes the fields that are given. Name, labels, environment, lifetime and restart policy can be changed at any time;
processors, memory and disk only while the machine is stopped. The next start gives the guest its new name and larger disk.
`.trim(),
    request: {
      params: schema.machineParams,
      // Without one nothing is to change.
      body: {
        ...bodyOf(updateBody, { labels: { team: 'web' }, lifetime_seconds: 3600 }).body,
        required: false,
      },
    },
    responses: {
      200: machineAnswer,
      ...refused("Cannot update machine in 'running' state"),
      ...readFailures,
      ...notFound,
      409: failure('The name is taken.', 'CONFLICT', "Machine with name 'web-server' already exists"),
      ...bodyRefused,
    },
  }),
  start: actionRoute(
    'start',
    'Start a machine',
    'Answers when the guest is ready, so that exec works at once.',
    guestUnreachable,
    schema.actionQuery,
  ),
  stop: actionRoute(
    'stop',
    'Stop a machine',
    'Asks the guest to power off, and ends its VMM if it does not. A paused machine is resumed first.',
    {},
    schema.actionQuery,
  ),
  restart: actionRoute(
    'restart',
    'Restart a machine',
    'Stops a running machine, starts it again, and answers when its guest is ready.',
    guestUnreachable,
    closedQuery({}),
  ),
  pause: actionRoute(
    'pause',
    'Pause a machine',
    `
Stops the machine's processors and keeps its memory; \`resume\` continues where it was. A paused machine accepts no commands.
A running command continues after \`resume\`, but its time limit also counts while paused. The machine stays paused when the
daemon restarts, and is stopped by a reboot of the host. An engine that cannot pause answers 400.
`.trim(),
    {},
    schema.actionQuery,
  ),
  resume: actionRoute(
    'resume',
    'Resume a machine',
    `
Continues a paused machine, and answers when its guest is ready and its clock is right. If the guest does not answer within
60 seconds, the machine is paused again. If the host's disk is full, it stays paused and the answer is 503.
`.trim(),
    guestUnreachable,
    schema.actionQuery,
  ),
  wait: createRoute({
    method: 'get',
    path: '/{id}/wait',
    operationId: 'waitForMachine',
    tags,
    ...needs('machines:read', { query: 'declared' }),
    summary: 'Wait for a status',
    description:
      'Answers as soon as the machine has the status; with 400 as soon as it fails, unless you wait for `failed` or its restart policy starts it again.',
    request: { params: schema.machineParams, query: schema.waitQuery },
    responses: {
      200: machineAnswer,
      ...refused('machine k3v9x2m1q8zt has failed: the guest did not answer within 60 s'),
      ...commonFailures,
      ...notFound,
      504: failure(
        'It did not reach the status in time.',
        'TIMEOUT',
        'Timed out waiting for machine k3v9x2m1q8zt to reach status running',
        true,
      ),
    },
  }),
  remove: createRoute({
    method: 'delete',
    path: '/{id}',
    operationId: 'deleteMachine',
    tags,
    ...needs('machines:write', { query: 'declared' }),
    summary: 'Delete a machine',
    description: `
Deletes the machine and its disk. A running or paused machine is deleted only with \`force\`, which also cancels its open
operation. A second request while the machine is being deleted is answered together with the first.
`.trim(),
    request: { params: schema.machineParams, query: schema.deleteQuery },
    responses: {
      204: { description: 'Deleted.' },
      ...refused("Cannot delete machine in 'running' state"),
      ...commonFailures,
      ...notFound,
      ...changed,
      ...bodyRefused,
    },
  }),
  console: createRoute({
    method: 'get',
    path: '/{id}/console',
    operationId: 'getMachineConsole',
    tags,
    ...needs('machines:read', { answer: 'stream', query: 'declared' }),
    summary: 'Read the console',
    description: `
The last lines of the machine's serial console in its current run, or its last one; empty before the first start. With
\`follow\` the answer continues with new output and ends when the machine stops or restarts; for a machine that is starting it
begins with the first line. It may be silent for long and has no heartbeat. At most 16 requests may follow one machine; a
slow reader loses the output that has left the buffer.

The text is the guest’s own: it may hold escape sequences, so make it printable before you show it in a terminal. Bytes
that are not UTF-8 are replaced by U+FFFD.
`.trim(),
    request: { params: schema.machineParams, query: schema.consoleQuery },
    responses: {
      200: {
        description: 'What the console said, oldest line first.',
        content: {
          'text/plain': {
            schema: z.string().openapi({ example: '[    0.000000] Linux version 6.1.0-37-amd64\r\n' }),
          },
        },
      },
      400: failure(
        'The request is wrong, or the machine’s engine has no console.',
        'VALIDATION_ERROR',
        'lines must be at most 10000',
      ),
      ...readFailures,
      ...notFound,
    },
  }),
  exec: createRoute({
    method: 'post',
    path: '/{id}/exec',
    operationId: 'execInMachine',
    tags,
    ...needs('machines:exec', { body: { kind: 'json', bytesMax: bodyBytesMax }, answer: 'stream' }),
    summary: 'Run a command',
    description: `With \`Accept: ${ndjson}\` the answer is a stream of events, one JSON object a line.`,
    request: {
      params: schema.machineParams,
      ...bodyOf(schema.execBody, { command: ['uname', '-r'], timeout: 10 }),
    },
    responses: {
      200: {
        description: 'How the command ended, or its events.',
        content: {
          'application/json': { schema: schema.execResult },
          [ndjson]: { schema: schema.execEvent },
        },
      },
      ...refused('Machine must be running to execute commands'),
      ...commonFailures,
      ...notFound,
      ...bodyRefused,
      ...guestLost(
        'The guest cannot be reached, or was lost: unless `retryable`, the command may have run.',
        false,
      ),
      504: failure(
        'The command was killed at its timeout.',
        'TIMEOUT',
        'Command execution timed out after 30 seconds',
      ),
    },
  }),
};

/** All of this dialect's routes, with paths below its prefix; the OpenAPI document is made from them. */
export const machineRoutes: readonly RouteConfig[] = Object.values(routes);
