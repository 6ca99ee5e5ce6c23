/**
 * running → pausing → paused: the guest's processors stand still; its memory, its disk and its link stay as they are.
 * Undone, it goes on. A command that runs in the guest stands still with it and goes on with it; the deadline that was
 * asked for it counts on.
 */
import { AppError } from '../../errors.ts';
import type { StepContext } from '../../operations/definition.ts';
import {
  type EngineHandle,
  type EnginePause,
  type EngineStatus,
  pausedOnRequest,
} from '../../ports/engine.ts';
import type { Machine } from '../machine.ts';
import type { MachineOperation } from '../subject.ts';
import { type Edges, engineOf, guestOf } from './context.ts';
import { identityOf } from './ready.ts';

const pauseTimeoutMs = 30_000;
/** For a guest that goes on to be told the time. */
const tellTimeoutMs = 15_000;

export function pauseOperation(edges: Edges): MachineOperation {
  return {
    kind: 'machine.pause',
    transit: 'pausing',
    steps: [
      {
        name: 'pause',
        isVolatile: true,
        timeoutMs: pauseTimeoutMs,
        do: ({ subject: machine, signal }) => standStill(edges, machine, signal),
        undo: (context) => goOnAgain(edges, context),
      },
    ],
    succeeded: 'paused',
    // A full disk is no longer what it waits for.
    onSuccess: () => ({ failure: null }),
    // It is as it was; that it was not paused is the operation's to tell.
    failed: 'running',
    cancelled: 'running',
    onUndone: () => ({}),
  };
}

/** Raises `unsupported` when the machine's engine cannot pause, `internal` when it has no handle. */
export function pausableOf(
  edges: Edges,
  machine: Machine,
): { readonly processors: EnginePause; readonly handle: EngineHandle } {
  const processors = engineOf(edges, machine).pause;
  if (!processors) {
    throw new AppError('unsupported', `engine '${machine.spec.engine}' cannot pause machines`, {
      hint: 'Stop the machine instead.',
    });
  }
  if (!machine.handle)
    throw new AppError('internal', `machine ${machine.id} has no VMM in state ${machine.state}`);
  return { processors, handle: machine.handle };
}

/** Makes the guest stand still; its silence means nothing from now on. */
export async function standStill(edges: Edges, machine: Machine, signal: AbortSignal): Promise<void> {
  const { processors, handle } = pausableOf(edges, machine);
  edges.guest.setQuiet(handle.incarnation, true);
  await processors.pause(handle, signal);
}

/** Lets the guest go on; what it does not answer from now on counts. */
export async function letGoOn(edges: Edges, machine: Machine, signal: AbortSignal): Promise<void> {
  const { processors, handle } = pausableOf(edges, machine);
  await processors.resume(handle, signal);
  edges.guest.setQuiet(handle.incarnation, false);
}

/** Whether the guest stands still because it was paused, and not because it waits for something. */
export function isPausedOnRequest(status: EngineStatus): boolean {
  return status.state === 'paused' && status.reason === pausedOnRequest;
}

async function goOnAgain(edges: Edges, { subject: machine, signal }: StepContext<Machine>): Promise<void> {
  if (machine.incarnation) edges.guest.setQuiet(machine.incarnation, false);
  if (!machine.handle) return;
  // Nothing to undo when its VMM is gone: whoever watches it says so.
  if (!isPausedOnRequest(await engineOf(edges, machine).inspect(machine.handle, signal))) return;
  await letGoOn(edges, machine, signal);
  await tellTime(edges, machine, signal);
}

/** Sets the clock of a guest that stood still. One that does not answer keeps its wrong time: no reason to end it. */
export async function tellTime(edges: Edges, machine: Machine, parent: AbortSignal): Promise<void> {
  try {
    const signal = AbortSignal.any([parent, AbortSignal.timeout(tellTimeoutMs)]);
    await edges.guest.resync(guestOf(machine), identityOf(machine), signal);
  } catch (error) {
    edges.log.warn({ machine: machine.id, err: error }, 'the guest goes on and was not told the time');
  }
}
