/**
 * Corrects a guest's vCPUs: running although the machine is paused, or paused although it should run. Users
 * pause and resume concurrently, and no lock covers both store and VMM. So the state is checked right before
 * acting, and the action is reverted when it is no longer wanted.
 */
import type { Machine } from '../machines/machine.ts';
import type { MachineState } from '../machines/states.ts';
import { type Edges, engineOf } from '../machines/steps/context.ts';
import { isPausedOnRequest, letGoOn, standStill } from '../machines/steps/pause.ts';
import type { EngineStatus } from '../ports/engine.ts';
import type { Store } from '../ports/store.ts';
import { diskFullCode } from './plan.ts';

type Processors = 'going' | 'still';

/** Limit of corrections when users keep changing the state; the next reconciliation continues. */
const attemptsMax = 4;

/**
 * Makes the vCPUs of a machine that was seen running or paused match its state. Does nothing when the machine
 * has changed since or an operation has begun. True when a running machine's guest was resumed. Raises the
 * engine's errors.
 */
export async function putProcessorsRight(
  store: Store,
  edges: Edges,
  seen: Machine,
  signal: AbortSignal,
): Promise<boolean> {
  let wanted = processorsOf(seen.state);
  if (!seen.handle || !wanted) return false;
  const status = await engineOf(edges, seen).inspect(seen.handle, signal);
  if (!isWrong(status, wanted)) return false;
  // Read after asking the VMM: a pause or resume that happened by then is recorded, at least as an operation.
  const before = await store.machines.get(seen.id);
  if (before?.state !== seen.state || before.incarnation !== seen.incarnation || before.operationId)
    return false;
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    await (wanted === 'going' ? letGoOn : standStill)(edges, seen, signal);
    const now = await store.machines.get(seen.id);
    const next: Processors | null = now?.incarnation === seen.incarnation ? processorsOf(now?.state) : null;
    if (next === null || next === wanted) return now?.state === 'running' && next === 'going';
    wanted = next;
  }
  return false;
}

/**
 * A stopping guest must run to receive the request; null when only an operation may change the vCPUs, or
 * there are none.
 */
function processorsOf(state: MachineState | undefined): Processors | null {
  if (state === 'paused' || state === 'pausing') return 'still';
  return state === 'running' || state === 'resuming' || state === 'stopping' ? 'going' : null;
}

function isWrong(status: EngineStatus, wanted: Processors): boolean {
  if (wanted === 'still') return status.state === 'running';
  return isPausedOnRequest(status) || (status.state === 'paused' && status.reason === diskFullCode);
}
