/** The handlers of snapshots and forks: a few lines each between HTTP and core. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { AppError } from '../../../core/errors.ts';
import type { Caller } from '../../../core/keys/caller.ts';
import type { ForkOutcome } from '../../../core/snapshots/service.ts';
import type { Snapshot } from '../../../core/snapshots/snapshot.ts';
import type { HttpDeps, HttpEnv } from '../../context.ts';
import { machineBodies } from '../../dialects/machines/bodies.ts';
import { nounApp } from '../../documented.ts';
import { isRetryable, neutralBody, neutralShape } from '../../errors.ts';
import { errorFor } from '../../host-paths.ts';
import { machineSnapshotDefinitions, routes } from './definitions.ts';
import type { SnapshotBody } from './schema.ts';

export function snapshotsApp(deps: HttpDeps): OpenAPIHono<HttpEnv> {
  const { snapshots } = deps;
  const app = nounApp();
  const bodyFor = machineBodies(deps);
  app.openapi(routes.list, async (c) => {
    const page = await snapshots.list(c.get('caller').tenant, c.req.valid('query'));
    return c.json({ snapshots: page.snapshots.map(toSnapshotBody), total: page.total }, 200);
  });
  app.openapi(routes.get, async (c) => {
    const snapshot = await snapshots.get(c.get('caller').tenant, c.req.valid('param').id);
    return c.json(toSnapshotBody(snapshot), 200);
  });
  app.openapi(routes.restore, async (c) => {
    const caller = c.get('caller');
    const { start } = c.req.valid('json');
    const machine = await snapshots.restore(caller.tenant, c.req.valid('param').id, { start });
    return c.json(await bodyFor(caller, machine), 200);
  });
  app.openapi(routes.remove, async (c) => {
    await snapshots.delete(c.get('caller').tenant, c.req.valid('param').id);
    return c.body(null, 204);
  });
  return app;
}

export function machineSnapshotsApp(deps: HttpDeps): OpenAPIHono<HttpEnv> {
  const { snapshots } = deps;
  const app = nounApp();
  const bodyFor = machineBodies(deps);
  app.openapi(machineSnapshotDefinitions.createOf, async (c) => {
    const { id } = c.req.valid('param');
    const snapshot = await snapshots.create(c.get('caller').tenant, id, c.req.valid('json'));
    return c.json(toSnapshotBody(snapshot), 201);
  });
  app.openapi(machineSnapshotDefinitions.listOf, async (c) => {
    const request = { ...c.req.valid('query'), machine: c.req.valid('param').id };
    const page = await snapshots.list(c.get('caller').tenant, request);
    return c.json({ snapshots: page.snapshots.map(toSnapshotBody), total: page.total }, 200);
  });
  app.openapi(machineSnapshotDefinitions.fork, async (c) => {
    const caller = c.get('caller');
    const { count = 1, ...request } = c.req.valid('json');
    const { id } = c.req.valid('param');
    const outcomes = await snapshots.fork(caller.tenant, id, { count, ...request }, caller);
    requireAny(outcomes);
    const machines = await Promise.all(
      outcomes.map(async ({ name, machine, problem }) => ({
        name,
        machine: machine && (await bodyFor(caller, machine)),
        error: problem && problemBody(caller, problem),
      })),
    );
    return c.json({ machines }, 201);
  });
  return app;
}

/** Raises the first problem when no machine was made: a caller that only looks at the status must not take that for a success. */
export function requireAny(outcomes: readonly ForkOutcome[]): void {
  const [first] = outcomes;
  if (first?.problem && outcomes.every(({ machine }) => machine === null)) throw first.problem;
}

function problemBody(caller: Caller, problem: AppError) {
  const shown = errorFor(problem, caller.isOperator);
  return neutralBody(neutralShape(shown), null, isRetryable(problem)).error;
}

/** A snapshot as routes and tools show it. */
export function toSnapshotBody(snapshot: Snapshot): SnapshotBody {
  const { spec } = snapshot;
  return {
    id: snapshot.id,
    name: snapshot.name,
    status: snapshot.state,
    machine_id: snapshot.machineId,
    machine_name: spec.name,
    parent_id: snapshot.parentId,
    has_memory: snapshot.hasMemory,
    vcpu_count: spec.vcpuCount,
    mem_size_mib: spec.memoryMib,
    disk_size_mib: spec.diskMib,
    image: spec.image,
    labels: { ...snapshot.labels },
    size_bytes: snapshot.sizeBytes,
    created_at: snapshot.createdAt,
    updated_at: snapshot.updatedAt,
  };
}
