/**
 * Records the machines of a state directory in a database that knows none of them (`serve --adopt-state`).
 * Running VMMs are found by their incarnation and keep running; machines without a VMM are stopped. One
 * transaction records all machines and claims the host, so a crash leaves all or nothing.
 */
import type { Logger } from '../../lib/log.ts';
import type { Machine } from '../machines/machine.ts';
import type { EngineDriver, EngineHandle, EngineStatus } from '../ports/engine.ts';
import { pausedOnRequest } from '../ports/engine.ts';
import type { HostClaim, Repositories } from '../ports/store.ts';
import { type ChooseDeps, chooseRecords, type Left } from './adoptable.ts';

export interface AdoptDeps extends ChooseDeps {
  readonly engines: ReadonlyMap<string, EngineDriver>;
  readonly log: Logger;
}

/** Limit for one question to an engine. */
const lookTimeoutMs = 30_000;

export interface Adoption {
  readonly adopted: readonly Machine[];
  /** Machines whose record is missing or unusable. Their disks and VMMs are left as they are. */
  readonly left: readonly Left[];
}

/** Raises errors of the store and the engines; nothing is recorded then. */
export async function adoptState(deps: AdoptDeps): Promise<Adoption> {
  const { store, claim, log } = deps;
  const { usable, left } = await chooseRecords(deps);
  const found: Machine[] = [];
  for (const machine of usable) found.push(await asFound(deps, machine));
  const adopted = await store.transaction(async (tx) => {
    await tx.hosts.claim(claim);
    const machines: Machine[] = [];
    for (const machine of found) machines.push(await insert(tx, machine, claim));
    return machines;
  });
  log.info({ adopted: adopted.length }, 'machines of the state directory adopted');
  for (const { machineId, reason } of left)
    log.warn({ machine: machineId, reason }, 'machine of the state directory not adopted');
  return { adopted, left };
}

async function insert(tx: Repositories, machine: Machine, { hostId, at }: HostClaim): Promise<Machine> {
  const owner = { kind: 'machine', id: machine.id } as const;
  const inserted = await tx.machines.insert(machine);
  const range = { min: machine.slot, max: machine.slot };
  await tx.allocations.take({ hostId, kind: 'vmm_uid', owner, ...range, at });
  return inserted;
}

/** The machine with the state that its VMM shows. */
async function asFound(deps: AdoptDeps, machine: Machine): Promise<Machine> {
  const handle = await findVmm(deps, machine);
  const status = handle && (await statusOf(deps, handle));
  if (handle && status?.state === 'running')
    return { ...machine, state: 'running', desired: 'running', handle };
  if (handle && status?.state === 'paused') {
    const state = status.reason === pausedOnRequest ? 'paused' : 'running';
    return { ...machine, state, desired: 'running', handle };
  }
  return machine;
}

async function findVmm({ engines }: AdoptDeps, { spec, incarnation }: Machine): Promise<EngineHandle | null> {
  if (incarnation === null) return null;
  return (await engines.get(spec.engine)?.find(incarnation, AbortSignal.timeout(lookTimeoutMs))) ?? null;
}

async function statusOf({ engines }: AdoptDeps, handle: EngineHandle): Promise<EngineStatus | null> {
  return (await engines.get(handle.engine)?.inspect(handle, AbortSignal.timeout(lookTimeoutMs))) ?? null;
}
