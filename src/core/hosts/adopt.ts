/**
 * Records the machines of a state directory in a database that knows none of them. What runs is found by its incarnation
 * and goes on; what does not run is stopped. All of it is one transaction: all are there or none.
 */
import type { Logger } from '../../lib/log.ts';
import type { Machine } from '../machines/machine.ts';
import type { EngineDriver, EngineHandle, EngineStatus } from '../ports/engine.ts';
import { pausedOnRequest } from '../ports/engine.ts';
import type { MachineRecords } from '../ports/records.ts';
import type { Repositories, Store } from '../ports/store.ts';

export interface AdoptDeps {
  readonly store: Store;
  readonly records: MachineRecords;
  readonly engines: ReadonlyMap<string, EngineDriver>;
  readonly hostId: string;
  readonly log: Logger;
  readonly now: Date;
}

/** One question to an engine. */
const lookTimeoutMs = 30_000;

export interface Adoption {
  readonly adopted: readonly Machine[];
  /** Machines whose record is missing or cannot be used; their disks stay. */
  readonly left: readonly string[];
}

/** Raises what the store and the engines raise; nothing is recorded then. */
export async function adoptState(deps: AdoptDeps): Promise<Adoption> {
  const found: Machine[] = [];
  const left: string[] = [];
  for (const { machineId, machine } of await deps.records.list()) {
    if (machine === null || machine.id !== machineId) left.push(machineId);
    else found.push(await asFound(deps, machine));
  }
  const adopted = await deps.store.transaction(async (tx) => {
    const machines: Machine[] = [];
    for (const machine of found) machines.push(await insert(tx, machine, deps));
    return machines;
  });
  deps.log.info({ adopted: adopted.length, left }, 'the machines of the state directory are recorded anew');
  return { adopted, left };
}

async function insert(tx: Repositories, machine: Machine, { hostId, now }: AdoptDeps): Promise<Machine> {
  const owner = { kind: 'machine', id: machine.id } as const;
  const inserted = await tx.machines.insert(machine);
  const range = { min: machine.slot, max: machine.slot };
  await tx.allocations.take({ hostId, kind: 'vmm_uid', owner, ...range, at: now.toISOString() });
  return inserted;
}

/** The machine in the state that its VMM shows, in no operation: what was under way ended with the database. */
async function asFound(deps: AdoptDeps, recorded: Machine): Promise<Machine> {
  const machine: Machine = {
    ...recorded,
    hostId: deps.hostId,
    operationId: null,
    failure: null,
    updatedAt: deps.now.toISOString(),
  };
  const handle = await findVmm(deps, recorded);
  const status = handle && (await statusOf(deps, handle));
  if (handle && status?.state === 'running')
    return { ...machine, state: 'running', desired: 'running', handle };
  if (handle && status?.state === 'paused') {
    const state = status.reason === pausedOnRequest ? 'paused' : 'running';
    return { ...machine, state, desired: 'running', handle };
  }
  const state = recorded.incarnation === null ? 'created' : 'stopped';
  return { ...machine, state, desired: 'stopped', handle: null };
}

async function findVmm({ engines }: AdoptDeps, { spec, incarnation }: Machine): Promise<EngineHandle | null> {
  if (incarnation === null) return null;
  return (await engines.get(spec.engine)?.find(incarnation, AbortSignal.timeout(lookTimeoutMs))) ?? null;
}

async function statusOf({ engines }: AdoptDeps, handle: EngineHandle): Promise<EngineStatus | null> {
  return (await engines.get(handle.engine)?.inspect(handle, AbortSignal.timeout(lookTimeoutMs))) ?? null;
}
