/** Admission control for memory: refuses a start when running machines leave too little memory for it. */
import { AppError } from '../errors.ts';
import type { Repositories } from '../ports/store.ts';
import type { Machine } from './machine.ts';
import { statesWithMemory } from './states.ts';

export interface Capacity {
  /** Memory available to all guests of this host, in MiB: its memory times the over-commit ratio. */
  readonly memoryMib: number;
}

/**
 * Call in the transaction that begins a start, so that of two concurrent starts for the last memory one is
 * refused. Raises `exhausted` with the missing amount.
 */
export async function reserveMemory(tx: Repositories, machine: Machine, capacity: Capacity): Promise<void> {
  const shortage = await findShortage(tx, machine, capacity);
  if (shortage) throw shortage;
}

/** What is to be started: one machine, or several as one. */
export interface MemoryDemand extends Pick<Machine, 'hostId' | 'id'> {
  readonly spec: Pick<Machine['spec'], 'memoryMib'>;
}

/** What `reserveMemory` raises; null when there is enough. */
export async function findShortage(
  tx: Repositories,
  machine: MemoryDemand,
  { memoryMib: capacityMib }: Capacity,
): Promise<AppError | null> {
  const { hostId, id, spec } = machine;
  await tx.locks.hold(`capacity of ${hostId}`);
  const usedMib = await tx.machines.memoryMib({ hostId, states: statesWithMemory, except: id });
  const freeMib = Math.max(0, capacityMib - usedMib);
  if (spec.memoryMib <= freeMib) return null;
  return new AppError(
    'exhausted',
    `this host has too little memory: the machine needs ${spec.memoryMib} MiB, ${freeMib} of ${capacityMib} MiB are free`,
    {
      hint: 'Stop machines, or raise FLOTILLA_MEMORY_OVERCOMMIT.',
      details: { resource: 'memory', neededMib: spec.memoryMib, freeMib, capacityMib },
    },
  );
}
