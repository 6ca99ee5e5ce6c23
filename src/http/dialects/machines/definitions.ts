/** The documented and validated routes of `/machines`; their handlers are in `routes.ts`. */
import { createRoute, type RouteConfig, z } from '@hono/zod-openapi';
import { needs, smallBodyBytesMax } from '../../access.ts';
import { bodyOf, bodyRefused, commonFailures, failure, invalid, json } from '../../documented.ts';
import { closedQuery } from '../../schema.ts';
import { metricsBody } from './metrics.ts';
import * as schema from './schema.ts';
import { updateBody } from './update-schema.ts';

// Reads have no documented deadline.
const { 504: _, ...readFailures } = commonFailures;
const refused = (message: string) => ({
  400: failure('The request is invalid, or the machine’s state does not allow it.', 'BAD_REQUEST', message),
});
const notFound = {
  404: failure('The machine does not exist.', 'NOT_FOUND', "Machine with id 'abc123' not found"),
} as const;
const changed = {
  409: failure(
    'Another request changed the machine at the same time.',
    'CONFLICT',
    'Another request changed machine k3v9x2m1q8zt at the same time',
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
    ...needs('machines:write', { body: { kind: 'empty' }, query: 'declared' }),
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
    description: 'Records the machine and prepares its disk. Start it with `POST /machines/{id}/start`.',
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
      404: failure('The image does not exist.', 'NOT_FOUND', 'No image "nginx"'),
      409: failure(
        'Another of your machines has this name.',
        'CONFLICT',
        "Machine with name 'web-server' already exists",
      ),
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
      'Returns one page of your machines that match the filters, newest first by default. `total` counts the machines on all pages.',
    request: { query: schema.listQuery },
    responses: {
      200: json('One page of machines.', schema.machineList),
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
    description: 'Returns one of your machines, by id or name.',
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
Changes the given fields and leaves all others. Name, labels, environment, lifetime, restart policy and idle policy can change at any
time; vCPUs, memory and disk only while the machine is stopped. The guest gets a new host name or a larger disk at its next start.
`.trim(),
    request: {
      params: schema.machineParams,
      // Without a body nothing changes.
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
      409: failure(
        'Another of your machines has this name.',
        'CONFLICT',
        "Machine with name 'web-server' already exists",
      ),
      ...bodyRefused,
    },
  }),
  start: actionRoute(
    'start',
    'Start a machine',
    'Answers when the guest is ready, so that exec works at once.',
    guestUnreachable,
    schema.cancellableQuery,
  ),
  stop: actionRoute(
    'stop',
    'Stop a machine',
    'Asks the guest to power off, and ends its VMM if it does not. A paused machine is resumed first. A suspended one is stopped only with `force`; without it, one that is being restored stays suspended.',
    {},
    schema.stopQuery,
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
    schema.cancellableQuery,
  ),
  suspend: actionRoute(
    'suspend',
    'Suspend a machine',
    `
Saves the memory of a running or paused machine beside its disk, and frees its memory and processors; \`start\` restores it, with
its programs as they were and its clock set right. A suspended machine stays so when the daemon or the host restarts.
Connections through its network end. The time that it takes, and the space, grow with the memory that the guest has used. Without
space the answer is 503 and the machine goes on. An engine that cannot save memory answers 400.
`.trim(),
    guestUnreachable,
    schema.cancellableQuery,
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
      ...refused('Machine k3v9x2m1q8zt has failed: the guest did not answer within 60 s'),
      ...commonFailures,
      ...notFound,
      504: failure(
        'The machine did not reach the status within `timeout` seconds.',
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
    ...needs('machines:write', { body: { kind: 'empty' }, query: 'declared' }),
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
  metrics: createRoute({
    method: 'get',
    path: '/{id}/metrics',
    operationId: 'getMachineMetrics',
    tags,
    ...needs('machines:read'),
    summary: 'Measure a machine',
    description:
      'What the machine uses at this moment, measured when asked. A machine that does not run has only its sizes. What is not measured is null.',
    request: { params: schema.machineParams },
    responses: {
      200: json('The figures.', metricsBody),
      ...invalid('id must have at most 128 characters'),
      ...commonFailures,
      ...notFound,
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
Returns the last lines of the serial console of the machine’s current or latest run; nothing before the first start. With
\`follow\` the answer continues with new output until the machine stops or restarts. For a starting machine it begins with the
first line. There is no heartbeat, so the answer may be silent for a long time. At most 16 requests can follow one machine. A
slow reader loses output that has left the buffer.

With \`previous\` it returns the console of the boot before, for example of one that crashed and was restarted. One previous
boot is kept, at most 1 MiB; it is deleted with the machine. A boot that printed nothing is not kept. Without one the answer is 404.

With \`timestamps\` each line begins with the time at which the daemon saw it, to about 0.1 s. If the daemon may have seen the line
more than 3 s after it was printed, \`[seen late, after 2026-11-29T10:00:00.000Z]\` follows: the line was printed between the two
times. Without \`after\` the earlier time is unknown. The guest can print the same words itself, but only after the time.

The guest writes the text, which may contain escape sequences: filter them before you print it to a terminal. Bytes that are
not UTF-8 are replaced by U+FFFD.
`.trim(),
    request: { params: schema.machineParams, query: schema.consoleQuery },
    responses: {
      200: {
        description: 'The lines of the console, oldest first.',
        content: {
          'text/plain': {
            schema: z.string().openapi({ example: '[    0.000000] Linux version 6.1.0-37-amd64\r\n' }),
          },
        },
      },
      400: failure(
        'The request is invalid, or the machine’s engine has no console.',
        'VALIDATION_ERROR',
        'lines must be at most 10000',
      ),
      ...readFailures,
      404: failure(
        'The machine does not exist, or has no previous boot.',
        'NOT_FOUND',
        "Machine with id 'abc123' not found",
      ),
    },
  }),
};

/** All of this dialect's routes, with paths below its prefix; the OpenAPI document is made from them. */
export const machineRoutes: readonly RouteConfig[] = Object.values(routes);
