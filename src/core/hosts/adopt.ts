/**
 * Records the machines of a state directory in a database that knows none of them (`serve --adopt-state`).
 * Running VMMs are found by their incarnation and keep running; machines without a VMM are suspended when their memory is
 * saved, else stopped. One transaction records all machines and claims the host, so a crash leaves all or nothing.
 */
import type { Logger } from '../../lib/log.ts';
import { timeOf } from '../../lib/times.ts';
import { isAppError } from '../errors.ts';
import { lifetimeIn } from '../machines/lifetime.ts';
import type { Machine } from '../machines/machine.ts';
import { allocateRecorded } from '../network/allocation.ts';
import type { EngineDriver, EngineHandle, EngineStatus } from '../ports/engine.ts';
import { pausedOnRequest } from '../ports/engine.ts';
import type { NetworkFacts } from '../ports/network.ts';
import type { SavedMemories, SavedMemory } from '../ports/saved-memory.ts';
import type { Repositories } from '../ports/store.ts';
import { type ChooseDeps, chooseRecords, type Left } from './adoptable.ts';

export interface AdoptDeps extends ChooseDeps {
  readonly engines: ReadonlyMap<string, EngineDriver>;
  readonly savedMemories: Pick<SavedMemories, 'find' | 'discard'>;
  readonly log: Logger;
  /** Where the machines' addresses are. */
  readonly network: Pick<NetworkFacts, 'ipv4'>;
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
  for (const machine of usable) {
    const seen = await asFound(deps, machine);
    found.push({ ...seen, ...lifetimeIn(seen, seen.state, timeOf(claim.at)) });
  }
  const adopted = await store.transaction(async (tx) => {
    await tx.hosts.claim(claim);
    const machines: Machine[] = [];
    for (const machine of found) machines.push(await insert(tx, machine, deps));
    return machines;
  });
  log.info({ adopted: adopted.length }, 'machines of the state directory adopted');
  for (const { machineId, reason } of left)
    log.warn({ machine: machineId, reason }, 'machine of the state directory not adopted');
  return { adopted, left };
}

async function insert(tx: Repositories, machine: Machine, { claim, network }: AdoptDeps): Promise<Machine> {
  const { hostId, at } = claim;
  const owner = { kind: 'machine', id: machine.id } as const;
  const inserted = await tx.machines.insert(machine);
  const range = { min: machine.slot, max: machine.slot };
  await tx.allocations.take({ hostId, kind: 'vmm_uid', owner, ...range, at });
  await allocateRecorded(tx, machine.spec, { hostId, owner, at }, network);
  return inserted;
}

/** The machine with the state that its VMM shows. */
async function asFound(deps: AdoptDeps, machine: Machine): Promise<Machine> {
  const handle = await findVmm(deps, machine);
  const status = handle && (await statusOf(deps, handle));
  const isLiving = status?.state === 'running' || status?.state === 'paused';
  // A suspend that did not come to its end: once the guest goes on, what was saved is older than its disk.
  if (isLiving) await deps.savedMemories.discard(machine.id, AbortSignal.timeout(lookTimeoutMs));
  if (handle && status?.state === 'running')
    return { ...machine, state: 'running', desired: 'running', handle };
  if (handle && status?.state === 'paused') {
    const state = status.reason === pausedOnRequest ? 'paused' : 'running';
    return { ...machine, state, desired: 'running', handle };
  }
  const memory = await savedMemoryOf(deps, machine);
  const isSuspended = memory !== null && memory.incarnation === machine.incarnation;
  return isSuspended ? { ...machine, state: 'suspended', savedMemory: memory } : machine;
}

/** Null when there is none, or none that can be read; then the machine boots from its disk. */
async function savedMemoryOf(
  { savedMemories, log }: AdoptDeps,
  { id }: Machine,
): Promise<SavedMemory | null> {
  try {
    return await savedMemories.find(id, AbortSignal.timeout(lookTimeoutMs));
  } catch (error) {
    if (!isAppError(error, 'conflict')) throw error;
    log.warn({ machine: id, err: error }, 'saved memory not adopted');
    return null;
  }
}

async function findVmm({ engines }: AdoptDeps, { spec, incarnation }: Machine): Promise<EngineHandle | null> {
  if (incarnation === null) return null;
  return (await engines.get(spec.engine)?.find(incarnation, AbortSignal.timeout(lookTimeoutMs))) ?? null;
}

async function statusOf({ engines }: AdoptDeps, handle: EngineHandle): Promise<EngineStatus | null> {
  return (await engines.get(handle.engine)?.inspect(handle, AbortSignal.timeout(lookTimeoutMs))) ?? null;
}
