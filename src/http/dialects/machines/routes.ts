/** The handlers of `/machines`: a few lines each between HTTP and core. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { AppError, isAppError } from '../../../core/errors.ts';
import { spelledNames } from '../../../core/images/references.ts';
import { checkScope } from '../../../core/keys/caller.ts';
import type { ActionResult } from '../../../core/machines/actions.ts';
import { stateConflict } from '../../../core/machines/lookup.ts';
import type { Machine } from '../../../core/machines/machine.ts';
import type { MachineAction } from '../../../core/machines/states.ts';
import type { HttpDeps, HttpEnv } from '../../context.ts';
import { nounApp } from '../../documented.ts';
import { machineBodies } from './bodies.ts';
import { textHeaders, toText } from './console.ts';
import { routes } from './definitions.ts';
import { toMetricsBody } from './metrics.ts';
import type * as schema from './schema.ts';
import {
  statesOf,
  statesToWaitFor,
  toCreateRequest,
  toLabelFilter,
  toSort,
  toSummary,
  toUpdateRequest,
} from './translate.ts';

export function machinesApp(deps: HttpDeps): OpenAPIHono<HttpEnv> {
  const app = nounApp();
  const { machines } = deps;
  const bodyFor = machineBodies(deps);

  app.openapi(routes.create, async (c) => {
    const caller = c.get('caller');
    const machine = await machines.create(caller.tenant, toCreateRequest(c.req.valid('json')), caller);
    return c.json(await bodyFor(caller, machine), 201);
  });
  app.openapi(routes.list, async (c) => {
    const { status, limit, offset, label = [], image, sort } = c.req.valid('query');
    const page = await machines.list({
      ...{ tenant: c.get('caller').tenant, limit, offset },
      ...(sort === undefined ? {} : { sort: toSort(sort) }),
      ...(status === undefined ? {} : { states: status.flatMap(statesOf) }),
      ...(image === undefined ? {} : { images: image.flatMap(spelledNames) }),
      labels: label.map(toLabelFilter),
    });
    return c.json({ machines: page.machines.map(toSummary), total: page.total }, 200);
  });
  app.openapi(routes.get, async (c) => {
    return c.json(
      await bodyFor(c.get('caller'), await machines.get(c.get('caller').tenant, c.req.valid('param').id)),
      200,
    );
  });
  app.openapi(routes.update, async (c) => {
    const caller = c.get('caller');
    const body = c.req.valid('json');
    // Environment variables can run code, for example as shell functions; SSH keys let others do so.
    if (body.env !== undefined || body.ssh_keys !== undefined) checkScope(caller, 'machines:exec');
    const machine = await machines.update(
      caller.tenant,
      c.req.valid('param').id,
      toUpdateRequest(body),
      caller,
    );
    return c.json(await bodyFor(caller, machine), 200);
  });
  app.openapi(routes.stop, async (c) => {
    const { idempotent: isIdempotent, force } = c.req.valid('query');
    const { tenant } = c.get('caller');
    const result = await machines.stop(tenant, c.req.valid('param').id, { isIdempotent, force });
    return c.json(await bodyFor(c.get('caller'), done('stop', result)), 200);
  });
  app.openapi(routes.pause, async (c) => {
    const isIdempotent = c.req.valid('query').idempotent;
    const result = await machines.pause(c.get('caller').tenant, c.req.valid('param').id, { isIdempotent });
    return c.json(await bodyFor(c.get('caller'), done('pause', result)), 200);
  });
  for (const action of ['start', 'resume', 'suspend'] as const) {
    app.openapi(routes[action], async (c) => {
      const { tenant } = c.get('caller');
      const { idempotent: isIdempotent, cancel_on_disconnect: isCancelled } = c.req.valid('query');
      const signal = isCancelled ? c.get('session').signal : undefined;
      const result = await machines[action](tenant, c.req.valid('param').id, { isIdempotent, signal });
      return c.json(await bodyFor(c.get('caller'), done(action, result)), 200);
    });
  }
  app.openapi(routes.restart, async (c) => {
    const result = await machines.restart(c.get('caller').tenant, c.req.valid('param').id);
    return c.json(await bodyFor(c.get('caller'), done('restart', result)), 200);
  });
  app.openapi(routes.wait, async (c) => {
    const { status, timeout } = c.req.valid('query');
    const machine = await waitFor(
      deps,
      c.get('caller').tenant,
      c.req.valid('param').id,
      status,
      timeout,
      c.get('session').signal,
    );
    return c.json(await bodyFor(c.get('caller'), machine), 200);
  });
  app.openapi(routes.remove, async (c) => {
    const { force } = c.req.valid('query');
    done('delete', await machines.delete(c.get('caller').tenant, c.req.valid('param').id, { force }));
    return c.body(null, 204);
  });
  app.openapi(routes.metrics, async (c) => {
    const machine = await machines.get(c.get('caller').tenant, c.req.valid('param').id);
    const { signal } = c.get('session');
    const [usage, network] = await Promise.all([
      machines.measure(machine, signal),
      machines.networkUsage(machine, signal),
    ]);
    return c.json(toMetricsBody(machine, usage, network, new Date()), 200);
  });
  app.openapi(routes.console, async (c) => {
    const { lines, follow, timestamps, previous } = c.req.valid('query');
    // HEAD has no body to follow, and nothing would end the following.
    const isFollowed = follow && !c.env.isHead;
    const session = c.get('session');
    const { id } = c.req.valid('param');
    const pieces = await machines.console(
      c.get('caller').tenant,
      id,
      { lines, follow: isFollowed, timestamps, previous },
      session.signal,
    );
    return c.body(toText(pieces, session.cutOnAbort()), 200, textHeaders) as never;
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
    return await machines.wait(
      tenant,
      id,
      { states: statesToWaitFor(status), timeoutMs: seconds * 1000 },
      signal,
    );
  } catch (error) {
    if (!isAppError(error, 'timeout')) throw error;
    throw new AppError('timeout', `Timed out waiting for machine ${id} to reach status ${status}`, {
      cause: error,
      hint: 'Wait again; flotilla inspect shows what the machine is doing.',
    });
  }
}

/** This dialect refuses an action whose result is already there. */
function done(action: MachineAction, result: ActionResult): Machine {
  if (result.verdict === 'ignored') throw stateConflict(action, result.machine);
  return result.machine;
}
