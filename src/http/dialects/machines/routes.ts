/** `/machines`: glue between HTTP and core, a few lines a route. */
import { createRoute, OpenAPIHono, type z } from '@hono/zod-openapi';
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
const failure = (description: string) => json(description, schema.errorBody);
const common = {
  400: failure('The request is wrong, or the machine’s state forbids it.'),
  401: failure('No key, or not a valid one.'),
  500: failure('A defect of ours, or the VMM failed.'),
  503: failure('Not now: no room, or shutting down.'),
} as const;
const notFound = { 404: failure('No such machine.') } as const;
const machineAnswer = json('The machine.', schema.machineBody);
const bodyOf = <T extends z.ZodType>(body: T) => ({
  body: { required: true, content: { 'application/json': { schema: body } } },
});

/** What is done to a machine and answered with the machine as it then is. */
const actionRoute = <Name extends string>(name: Name) =>
  createRoute({
    method: 'post',
    path: `/{id}/${name}`,
    operationId: `${name}Machine`,
    request: { params: schema.machineParams },
    responses: {
      200: machineAnswer,
      ...common,
      ...notFound,
      504: failure('The guest did not answer in time.'),
    },
  });

const routes = {
  create: createRoute({
    method: 'post',
    path: '/',
    operationId: 'createMachine',
    request: bodyOf(schema.createBody),
    responses: { 201: machineAnswer, ...common, 409: failure('The name is taken.') },
  }),
  list: createRoute({
    method: 'get',
    path: '/',
    operationId: 'listMachines',
    request: { query: schema.listQuery },
    responses: { 200: json('A page of machines, newest first.', schema.machineList), ...common },
  }),
  get: createRoute({
    method: 'get',
    path: '/{id}',
    operationId: 'getMachine',
    request: { params: schema.machineParams },
    responses: { 200: machineAnswer, ...common, ...notFound },
  }),
  start: actionRoute('start'),
  stop: actionRoute('stop'),
  restart: actionRoute('restart'),
  wait: createRoute({
    method: 'get',
    path: '/{id}/wait',
    operationId: 'waitForMachine',
    request: { params: schema.machineParams, query: schema.waitQuery },
    responses: {
      200: machineAnswer,
      ...common,
      ...notFound,
      504: failure('It did not reach the status in time.'),
    },
  }),
  remove: createRoute({
    method: 'delete',
    path: '/{id}',
    operationId: 'deleteMachine',
    request: { params: schema.machineParams, query: schema.deleteQuery },
    responses: { 204: { description: 'Deleted.' }, ...common, ...notFound },
  }),
  exec: createRoute({
    method: 'post',
    path: '/{id}/exec',
    operationId: 'execInMachine',
    description: `With \`Accept: ${ndjson}\` the answer is a stream of events, one JSON object a line.`,
    request: { params: schema.machineParams, ...bodyOf(schema.execBody) },
    responses: {
      200: {
        description: 'How the command ended, or its events.',
        content: {
          'application/json': { schema: schema.execResult },
          [ndjson]: { schema: schema.execEvent },
        },
      },
      ...common,
      ...notFound,
      502: failure('The guest cannot be reached, or was lost: the command may have run.'),
      504: failure('The command was killed at its timeout.'),
    },
  }),
};

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
