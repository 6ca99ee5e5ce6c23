/** The documented and validated routes of `/api/v1/vms`; their handlers are in `routes.ts`. */
import { createRoute, type RouteConfig } from '@hono/zod-openapi';
import { needs, smallBodyBytesMax } from '../../access.ts';
import { bodyOf, json } from '../../documented.ts';
import * as failures from './failures.ts';
import * as schema from './schema.ts';

const { bodyRefused, guestLost, invalid, keyFailures, nameTaken, noImage, notFound, tooLate, wrongState } =
  failures;
const tags = ['vms'];
const jsonBody = { kind: 'json', bytesMax: smallBodyBytesMax } as const;
/** Room for the longest Rhai script, each character escaped. */
const scriptBody = { kind: 'json', bytesMax: 8 * 1024 * 1024 } as const;

/** `own`: failures that not every action has. */
const actionRoute = <Name extends schema.VmAction, Own extends object>(
  name: Name,
  summary: string,
  description: string,
  own: Own,
) =>
  createRoute({
    method: 'post',
    path: `/{id}/${name}`,
    operationId: `${name}_vm`,
    tags,
    ...needs('machines:write'),
    summary,
    description,
    request: { params: schema.vmParams },
    responses: {
      200: json('Done.', schema.actionBody),
      ...invalid,
      ...keyFailures,
      ...notFound,
      ...wrongState,
      ...own,
      ...tooLate,
      ...bodyRefused,
    },
  });

export const routes = {
  list: createRoute({
    method: 'get',
    path: '/',
    operationId: 'list_vms',
    tags,
    ...needs('machines:read', { query: 'declared' }),
    summary: 'List virtual machines',
    description: 'A page of your virtual machines, newest first.',
    request: { query: schema.listQuery },
    responses: { 200: json('A page.', schema.vmList), ...invalid, ...keyFailures },
  }),
  create: createRoute({
    method: 'post',
    path: '/',
    operationId: 'create_vm',
    tags,
    ...needs('machines:write', { body: jsonBody }),
    summary: 'Create a virtual machine',
    description: `
Records it and prepares its disk; it does not run before it is started. The answer has the state in which it was recorded,
\`creating\`, and is sent when it can be started.
`.trim(),
    request: bodyOf(schema.createBody, {
      name: 'my-first-vm',
      cpus: 1,
      memory_mb: 512,
      disk_gb: 1,
      image: 'debian-12',
    }),
    responses: {
      201: json('It is made.', schema.createdBody),
      ...invalid,
      ...keyFailures,
      ...noImage,
      ...nameTaken,
      ...tooLate,
      ...bodyRefused,
    },
  }),
  get: createRoute({
    method: 'get',
    path: '/{id}',
    operationId: 'get_vm',
    tags,
    ...needs('machines:read'),
    summary: 'Get a virtual machine',
    request: { params: schema.vmParams },
    responses: { 200: json('The virtual machine.', schema.vmBody), ...invalid, ...keyFailures, ...notFound },
  }),
  remove: createRoute({
    method: 'delete',
    path: '/{id}',
    operationId: 'delete_vm',
    tags,
    ...needs('machines:write'),
    summary: 'Delete a virtual machine',
    description: 'Deletes it and its disk. It must not run: stop it first.',
    request: { params: schema.vmParams },
    responses: {
      200: json('Deleted.', schema.deletedBody),
      ...invalid,
      ...keyFailures,
      ...notFound,
      ...wrongState,
      ...tooLate,
      ...bodyRefused,
    },
  }),
  start: actionRoute(
    'start',
    'Start a virtual machine',
    'Answers when the guest is ready, so that scripts run at once.',
    guestLost,
  ),
  stop: actionRoute(
    'stop',
    'Stop a virtual machine',
    'Asks the guest to power off, and ends it if it does not.',
    {},
  ),
  pause: actionRoute('pause', 'Pause a virtual machine', 'Stops its processors and keeps its memory.', {}),
  resume: actionRoute(
    'resume',
    'Resume a virtual machine',
    'Continues a paused one, with its clock set right.',
    guestLost,
  ),
  restart: actionRoute(
    'restart',
    'Restart a virtual machine',
    'Stops a running one and starts it again.',
    guestLost,
  ),
  metrics: createRoute({
    method: 'get',
    path: '/{id}/metrics',
    operationId: 'get_metrics',
    tags,
    ...needs('machines:read'),
    summary: 'Get a virtual machine’s metrics',
    description: 'Measured when asked. What is not measured is null.',
    request: { params: schema.vmParams },
    responses: {
      200: json('Its figures.', schema.metricsBody),
      ...invalid,
      ...keyFailures,
      ...notFound,
      ...tooLate,
    },
  }),
  script: createRoute({
    method: 'post',
    path: '/{id}/script',
    operationId: 'execute_script',
    tags,
    ...needs('machines:exec', { body: scriptBody }),
    summary: 'Run a script',
    description: `
A script in \`sh\`, \`bash\`, \`python\` or \`node\` runs in the guest, if its image has that interpreter. One in \`rhai\` runs on the
host in a sandbox, with the constants \`vm_state\`, \`vm_name\`, \`vcpu_count\` and \`memory_size\`. A script that fails or runs out
of time answers 200 with \`success: false\`.
`.trim(),
    request: { params: schema.vmParams, ...bodyOf(schema.scriptBody, { language: 'sh', code: 'uname -r' }) },
    responses: {
      200: json('How it ended.', schema.scriptResult),
      ...invalid,
      ...keyFailures,
      ...notFound,
      ...wrongState,
      ...guestLost,
      ...tooLate,
      ...bodyRefused,
    },
  }),
};

export const vmRoutes: readonly RouteConfig[] = Object.values(routes);
