/** Admission of memory: a start is refused when the machines that hold memory already would leave too little for it. */
import { AppError } from '../errors.ts';
import type { Repositories } from '../ports/store.ts';
import type { Machine } from './machine.ts';
import { statesWithMemory } from './states.ts';

export interface Capacity {
  /** What guests may have together on this host: its memory times the over-commit ratio, in MiB. */
  readonly memoryMib: number;
}

/**
 * Inside the transaction that begins a start, so that of two starts that race for the last memory one is refused. Raises
 * `exhausted` with what is short.
 */
export async function reserveMemory(tx: Repositories, machine: Machine, capacity: Capacity): Promise<void> {
  const shortage = await findShortage(tx, machine, capacity);
  if (shortage) throw shortage;
}

/** What `reserveMemory` raises; null when there is enough. */
export async function findShortage(
  tx: Repositories,
  machine: Machine,
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
