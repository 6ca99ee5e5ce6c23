/** What a machine has used of its host in its current run. Figures that nobody measured are null. */
import { isAppError } from '../errors.ts';
import type { EngineUsage } from '../ports/engine.ts';
import type { Machine } from './machine.ts';
import type { MachineState } from './states.ts';
import { type Edges, engineOf, lookTimeoutMs } from './steps/context.ts';

export interface MachineUsage extends EngineUsage {
  /** Since its latest start; 0 while it does not run. */
  readonly uptimeMs: number;
}

/** The states of a guest that has booted and has not ended. */
const upStates: readonly MachineState[] = ['running', 'pausing', 'paused', 'resuming', 'suspending'];

export function isUp(state: MachineState): boolean {
  return upStates.includes(state);
}

const nothing: EngineUsage = {
  processorTimeMs: null,
  memoryBytes: null,
  diskReadBytes: null,
  diskWriteBytes: null,
  diskReads: null,
  diskWrites: null,
  guestMemory: null,
};

export function uptimeMs({ state, startedAt }: Pick<Machine, 'state' | 'startedAt'>, now: Date): number {
  if (startedAt === null || !isUp(state)) return 0;
  return Math.max(0, now.getTime() - Date.parse(startedAt));
}

/** Raises the engine's errors, except when the machine has ended meanwhile. */
export async function measureUsage(
  edges: Edges,
  machine: Machine,
  signal: AbortSignal,
): Promise<MachineUsage> {
  const upMs = uptimeMs(machine, edges.clock.now());
  const { meter } = engineOf(edges, machine);
  if (!isUp(machine.state) || meter === null || machine.handle === null)
    return { ...nothing, uptimeMs: upMs };
  try {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(lookTimeoutMs)]);
    return { ...(await meter.measure(machine.handle, limited)), uptimeMs: upMs };
  } catch (error) {
    if (isAppError(error, 'engine')) return { ...nothing, uptimeMs: 0 };
    throw error;
  }
}
