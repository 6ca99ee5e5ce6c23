/**
 * Puts a guest's processors right: going though the machine is paused, or still though it is to run. Users pause and
 * resume at the same time, and no lock spans the store and the VMM: so it is looked at again right before something is
 * done, and what is done is undone when it is no longer what is wanted.
 */
import type { Machine } from '../machines/machine.ts';
import type { MachineState } from '../machines/states.ts';
import { type Edges, engineOf } from '../machines/steps/context.ts';
import { isPausedOnRequest, letGoOn, standStill } from '../machines/steps/pause.ts';
import type { EngineStatus } from '../ports/engine.ts';
import type { Store } from '../ports/store.ts';
import { diskFullCode } from './plan.ts';

type Processors = 'going' | 'still';

/** How often somebody may change their mind meanwhile; after that the next look goes on from there. */
const attemptsMax = 4;

/**
 * Makes the processors of a machine that was seen running or paused do what its state says; nothing when somebody has
 * changed or begun anything since. True when a running machine's guest was let go on. Raises what the engine raises.
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
  // Read after the VMM was asked: what a pause or resume has done by now is recorded, or its operation is.
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

/** A guest that is stopped has to go on to hear of it; null where its processors are an operation's alone, or nobody's. */
function processorsOf(state: MachineState | undefined): Processors | null {
  if (state === 'paused' || state === 'pausing') return 'still';
  return state === 'running' || state === 'resuming' || state === 'stopping' ? 'going' : null;
}

function isWrong(status: EngineStatus, wanted: Processors): boolean {
  if (wanted === 'still') return status.state === 'running';
  return isPausedOnRequest(status) || (status.state === 'paused' && status.reason === diskFullCode);
}
