/** `/machines`: glue between HTTP and core, a few lines a route. */
import { createRoute, OpenAPIHono, type RouteConfig, type z } from '@hono/zod-openapi';
import type { MiddlewareHandler } from 'hono';
import { AppError, isAppError } from '../../../core/errors.ts';
import type { Machine } from '../../../core/machines/machine.ts';
import { type ActionResult, stateConflict } from '../../../core/machines/service.ts';
import type { MachineAction } from '../../../core/machines/states.ts';
import type { HttpDeps, HttpEnv } from '../../context.ts';
import { BadRequest, describeIssue } from './errors.ts';
import { gather, toNdjson } from './exec.ts';
import * as schema from './schema.ts';
import {
  type BootPaths,
  statesOf,
  toCreateRequest,
  toExecRequest,
  toMachineBody,
  toSummary,
} from './translate.ts';

const ndjson = 'application/x-ndjson';

const json = <T extends z.ZodType>(description: string, body: T) => ({
  description,
  content: { 'application/json': { schema: body } },
});
/** `code` and `message` are what a caller reads in one such answer. */
const failure = (description: string, code: string, message: string, retryable = false) => ({
  description,
  content: {
    'application/json': {
      schema: schema.errorBody,
      example: { error: { code, message, request_id: schema.exampleRequestId, retryable } },
    },
  },
});
/** What may happen to any request, whatever its route. */
export const commonFailures = {
  401: failure('No key, or not a valid one.', 'UNAUTHORIZED', 'Invalid API key'),
  403: failure(
    'The key does not allow it; or, while authentication is off, it comes from another host’s page.',
    'FORBIDDEN',
    'requests from elsewhere are not served while authentication is off',
  ),
  500: failure('A defect of ours, or the VMM failed.', 'INTERNAL_ERROR', 'An unexpected error occurred'),
  503: failure(
    'Not now: no room, or shutting down.',
    'UNAVAILABLE',
    'another program keeps the database locked',
    true,
  ),
  504: failure('A deadline passed.', 'TIMEOUT', 'the guest did not answer within 60 s', true),
} as const;
const invalid = (message: string) => ({
  400: failure('The request is wrong.', 'VALIDATION_ERROR', message),
});
const refused = (message: string) => ({
  400: failure('The request is wrong, or the machine’s state forbids it.', 'BAD_REQUEST', message),
});
const notFound = {
  404: failure('No such machine.', 'NOT_FOUND', "Machine with id 'abc123' not found"),
} as const;
const tooLarge = {
  413: failure(
    'The body is over the limit.',
    'VALIDATION_ERROR',
    'request body is larger than 12582912 bytes',
  ),
} as const;
const changed = {
  409: failure(
    'Somebody else changed the machine meanwhile.',
    'CONFLICT',
    'machine k3v9x2m1q8zt changed while it was being changed',
  ),
} as const;
const guestLost = (description: string) => ({
  502: failure(description, 'VSOCK_ERROR', 'Failed to communicate with VM', true),
});
const machineAnswer = json('The machine.', schema.machineBody);
const bodyOf = <T extends z.ZodType>(body: T, example: z.input<T>) => ({
  body: { required: true, content: { 'application/json': { schema: body, example } } },
});
const tags = ['machines'];

/** What is done to a machine and answered with the machine as it then is. */
const actionRoute = <Name extends string>(name: Name, summary: string, description: string) =>
  createRoute({
    method: 'post',
    path: `/{id}/${name}`,
    operationId: `${name}Machine`,
    tags,
    summary,
    description,
    request: { params: schema.machineParams },
    responses: {
      200: machineAnswer,
      ...refused(`Cannot ${name} machine in 'pending' state`),
      ...commonFailures,
      ...notFound,
      ...changed,
      ...tooLarge,
      ...guestLost('The guest cannot be reached.'),
    },
  });

const routes = {
  create: createRoute({
    method: 'post',
    path: '/',
    operationId: 'createMachine',
    tags,
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
      ...tooLarge,
    },
  }),
  list: createRoute({
    method: 'get',
    path: '/',
    operationId: 'listMachines',
    tags,
    summary: 'List machines',
    description: 'A page of your machines, newest first. `total` counts all that match, on whichever page.',
    request: { query: schema.listQuery },
    responses: {
      200: json('A page of machines, newest first.', schema.machineList),
      ...invalid('limit must be at most 1000'),
      ...commonFailures,
    },
  }),
  get: createRoute({
    method: 'get',
    path: '/{id}',
    operationId: 'getMachine',
    tags,
    summary: 'Get a machine',
    request: { params: schema.machineParams },
    responses: {
      200: machineAnswer,
      ...invalid('id must have at most 128 characters'),
      ...commonFailures,
      ...notFound,
    },
  }),
  start: actionRoute('start', 'Start a machine', 'Answers when the guest does, so that exec works at once.'),
  stop: actionRoute('stop', 'Stop a machine', 'Asks the guest to power off, and ends it if it does not.'),
  restart: actionRoute(
    'restart',
    'Restart a machine',
    'Stops a running machine, starts it anew, and answers when its guest does.',
  ),
  wait: createRoute({
    method: 'get',
    path: '/{id}/wait',
    operationId: 'waitForMachine',
    tags,
    summary: 'Wait for a status',
    description:
      'Answers as soon as the machine has the status, and with 400 as soon as it has failed, unless `failed` is waited for.',
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
    summary: 'Delete a machine',
    description: 'Its disk goes with it. A machine that runs is deleted only with `force`.',
    request: { params: schema.machineParams, query: schema.deleteQuery },
    responses: {
      204: { description: 'Deleted.' },
      ...refused("Cannot delete machine in 'running' state"),
      ...commonFailures,
      ...notFound,
      ...changed,
      ...tooLarge,
    },
  }),
  exec: createRoute({
    method: 'post',
    path: '/{id}/exec',
    operationId: 'execInMachine',
    tags,
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
      ...tooLarge,
      ...guestLost('The guest cannot be reached, or was lost: the command may have run.'),
      504: failure(
        'The command was killed at its timeout.',
        'TIMEOUT',
        'Command execution timed out after 30 seconds',
        true,
      ),
    },
  }),
};

/** All of this dialect's routes, with paths below its prefix: what its OpenAPI document is made from. */
export const machineRoutes: readonly RouteConfig[] = Object.values(routes);

export function machinesDialect(deps: HttpDeps): OpenAPIHono<HttpEnv> {
  const app = new OpenAPIHono<HttpEnv>({
    defaultHook: (result) => {
      if (!result.success) throw new AppError('invalid', describeIssue(result.error, inputOf(result)));
    },
  });
  const { machines } = deps;
  const bodyFor = async (machine: Machine) => toMachineBody(machine, await bootPaths(deps, machine));

  app.use(requireJson);
  app.openapi(routes.create, async (c) => {
    const machine = await machines.create(c.get('caller').tenant, toCreateRequest(c.req.valid('json')));
    return c.json(await bodyFor(machine), 201);
  });
  app.openapi(routes.list, async (c) => {
    const { status, limit, offset } = c.req.valid('query');
    const states = status === undefined ? {} : { states: statesOf(status) };
    const page = await machines.list({ tenant: c.get('caller').tenant, limit, offset, ...states });
    return c.json({ machines: page.machines.map(toSummary), total: page.total }, 200);
  });
  app.openapi(routes.get, async (c) => {
    return c.json(await bodyFor(await machines.get(c.get('caller').tenant, c.req.valid('param').id)), 200);
  });
  app.openapi(routes.start, async (c) => {
    const result = await machines.start(c.get('caller').tenant, c.req.valid('param').id);
    return c.json(await bodyFor(done('start', result)), 200);
  });
  app.openapi(routes.stop, async (c) => {
    const result = await machines.stop(c.get('caller').tenant, c.req.valid('param').id);
    return c.json(await bodyFor(done('stop', result)), 200);
  });
  app.openapi(routes.restart, async (c) => {
    const result = await machines.restart(c.get('caller').tenant, c.req.valid('param').id);
    return c.json(await bodyFor(done('restart', result)), 200);
  });
  app.openapi(routes.wait, async (c) => {
    const { status, timeout } = c.req.valid('query');
    const machine = await waitFor(
      deps,
      c.get('caller').tenant,
      c.req.valid('param').id,
      status,
      timeout,
      c.req.raw.signal,
    );
    return c.json(await bodyFor(machine), 200);
  });
  app.openapi(routes.remove, async (c) => {
    const force = c.req.valid('query').force === 'true';
    done('delete', await machines.delete(c.get('caller').tenant, c.req.valid('param').id, { force }));
    return c.body(null, 204);
  });
  app.openapi(routes.exec, async (c) => {
    const request = toExecRequest(c.req.valid('json'));
    const signal = c.req.raw.signal;
    const session = await machines.exec(c.get('caller').tenant, c.req.valid('param').id, request, signal);
    if (wantsStream(c.req.header('accept'))) {
      // The types know only answers that are one JSON value.
      return c.body(toNdjson(session), 200, { 'Content-Type': ndjson }) as never;
    }
    return c.json(await gather(session, request.timeoutMs), 200);
  });
  return app;
}

async function waitFor(
  { machines }: HttpDeps,
  tenant: string,
  id: string,
  status: schema.MachineStatus,
  seconds: number,
  signal: AbortSignal,
): Promise<Machine> {
  try {
    return await machines.wait(tenant, id, { states: statesOf(status), timeoutMs: seconds * 1000 }, signal);
  } catch (error) {
    if (!isAppError(error, 'timeout')) throw error;
    throw new AppError('timeout', `Timed out waiting for machine ${id} to reach status ${status}`, {
      cause: error,
    });
  }
}

/** This dialect refuses what is already so. */
function done(action: MachineAction, result: ActionResult): Machine {
  if (result.verdict === 'ignored') throw stateConflict(action, result.machine);
  return result.machine;
}

async function bootPaths(deps: HttpDeps, machine: Machine): Promise<BootPaths> {
  const kit = await deps.images.bootKit().catch(() => null);
  return {
    kernelPath: kit?.kernelPath ?? null,
    kernelArgs: kit?.kernelArgs ?? null,
    rootfsPath: deps.disks.locate(machine.id).path,
  };
}

function wantsStream(accept: string | undefined): boolean {
  return accept?.split(',').some((type) => type.trim().split(';')[0] === ndjson) ?? false;
}

/** A body of another type would be read as an empty one, and its fields called missing. */
const requireJson: MiddlewareHandler<HttpEnv> = async (c, next) => {
  const hasBody =
    c.req.header('transfer-encoding') !== undefined || Number(c.req.header('content-length') ?? 0) > 0;
  const type = c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase();
  if (hasBody && c.req.method === 'POST' && type !== 'application/json') {
    throw new BadRequest('Content-Type must be application/json');
  }
  await next();
};

function inputOf(result: object): unknown {
  return 'data' in result ? result.data : undefined;
}
