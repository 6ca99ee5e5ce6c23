/** Observes this host: asks engines and disks about the recorded machines. Changes nothing. */
import { abortable } from '../../lib/abort.ts';
import type { Machine } from '../machines/machine.ts';
import { type Edges, engineOf, lookTimeoutMs } from '../machines/steps/context.ts';
import type { MachineNetworks } from '../network/networks.ts';
import type { Owner } from '../operations/operation.ts';
import type { EngineStatus, FoundIncarnation } from '../ports/engine.ts';
import { isAtRest, type Observed } from './plan.ts';

/** What cannot be inspected is omitted, and the repairs then leave it alone. */
export async function observe(
  edges: Edges,
  networks: Pick<MachineNetworks, 'list' | 'behind'>,
  machines: readonly Machine[],
  { hostId, bootId }: Pick<Owner, 'hostId' | 'bootId'>,
  closing: AbortSignal,
): Promise<Observed> {
  // Each question has its own deadline, even if the answerer ignores its signal, so that one that hangs does
  // not delay the others.
  const ask = <T>(question: (signal: AbortSignal) => Promise<T>): Promise<T> => {
    const signal = AbortSignal.any([closing, AbortSignal.timeout(lookTimeoutMs)]);
    return abortable(question(signal), signal);
  };
  const incarnations = new Map<string, readonly FoundIncarnation[]>();
  const living = new Set<string>();
  for (const [kind, driver] of edges.engines) {
    try {
      incarnations.set(kind, await ask((signal) => driver.list(signal)));
      for (const incarnation of await ask((signal) => driver.listLiving(signal))) living.add(incarnation);
    } catch (error) {
      edges.log.warn({ engine: kind, err: error }, 'engine not inspected');
    }
  }
  // Unreadable disks must not hide that a VMM has ended.
  const orElse = async <T>(fallback: T, answer: Promise<T>, what = 'disks'): Promise<T> => {
    try {
      return await answer;
    } catch (error) {
      edges.log.warn({ err: error }, `${what} not inspected`);
      return fallback;
    }
  };
  const strays = new Set<string>();
  const statuses = new Map<string, EngineStatus>();
  await Promise.all(
    machines.map(async (machine) => {
      if (!machine.incarnation) return;
      const status = await inspect(edges, machine, ask);
      if (status) statuses.set(machine.incarnation, status);
      if (isAtRest(machine) && living.has(machine.incarnation)) strays.add(machine.incarnation);
    }),
  );
  return {
    hostId,
    bootId,
    freeMib: await orElse(
      0,
      ask((signal) => edges.disks.freeMib(signal)),
    ),
    statuses,
    strays,
    incarnations,
    disks: await orElse(
      null,
      ask((signal) => edges.disks.list(signal)),
    ),
    behind: new Set(networks.behind),
    attached: await orElse(
      null,
      ask((signal) => networks.list(signal)),
      'network',
    ),
  };
}

type Ask = <T>(question: (signal: AbortSignal) => Promise<T>) => Promise<T>;

async function inspect(edges: Edges, machine: Machine, ask: Ask): Promise<EngineStatus | null> {
  const { handle } = machine;
  if (!handle || (machine.state !== 'running' && machine.state !== 'paused')) return null;
  try {
    return await ask((signal) => engineOf(edges, machine).inspect(handle, signal));
  } catch (error) {
    edges.log.warn({ machine: machine.id, err: error }, 'VMM not inspected');
    return null;
  }
}
