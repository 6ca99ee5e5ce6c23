/** One look at this host: what its engines and disks show of what is recorded. Changes nothing. */
import type { Machine } from '../machines/machine.ts';
import { type Edges, engineOf, lookTimeoutMs } from '../machines/steps/context.ts';
import type { EngineStatus } from '../ports/engine.ts';
import { isAtRest, type Observed } from './plan.ts';

/** What cannot be inspected is left out, and so left alone. */
export async function observe(edges: Edges, machines: readonly Machine[], bootId: string): Promise<Observed> {
  const incarnations = new Map<string, readonly string[]>();
  const living = new Set<string>();
  for (const [kind, driver] of edges.engines) {
    try {
      incarnations.set(kind, await driver.list(look()));
      for (const incarnation of await driver.listLiving(look())) living.add(incarnation);
    } catch (error) {
      edges.log.warn({ engine: kind, err: error }, 'engine cannot be looked at');
    }
  }
  const strays = new Set<string>();
  const statuses = new Map<string, EngineStatus>();
  await Promise.all(
    machines.map(async (machine) => {
      if (!machine.incarnation) return;
      const status = await inspect(edges, machine);
      if (status) statuses.set(machine.incarnation, status);
      if (isAtRest(machine) && living.has(machine.incarnation)) strays.add(machine.incarnation);
    }),
  );
  return {
    bootId,
    freeMib: await edges.disks.freeMib(look()),
    statuses,
    strays,
    incarnations,
    disks: await edges.disks.list(look()),
  };
}

/** Each question has its own deadline: what hangs takes no time from the others. */
function look(): AbortSignal {
  return AbortSignal.timeout(lookTimeoutMs);
}

async function inspect(edges: Edges, machine: Machine): Promise<EngineStatus | null> {
  if (!machine.handle || (machine.state !== 'running' && machine.state !== 'paused')) return null;
  try {
    return await engineOf(edges, machine).inspect(machine.handle, look());
  } catch (error) {
    edges.log.warn({ machine: machine.id, err: error }, 'VMM cannot be inspected');
    return null;
  }
}
