/**
 * running → pausing → paused: stops the guest's vCPUs; memory, disk and link stay as they are. Undo: resumes
 * the guest. Commands in the guest are paused with it, but their deadlines continue to run.
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
/** Limit for setting the clock of a resumed guest. */
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
    // It no longer waits for disk space.
    onSuccess: () => ({ failure: null }),
    // The machine is unchanged; the operation reports the failed pause.
    failed: 'running',
    cancelled: 'running',
    onUndone: () => ({}),
  };
}

/** Raises `unsupported` when the machine's engine cannot pause, `internal` when there is no handle. */
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

/** Pauses the guest; from now on its silence is ignored. */
export async function standStill(edges: Edges, machine: Machine, signal: AbortSignal): Promise<void> {
  const { processors, handle } = pausableOf(edges, machine);
  edges.guest.setQuiet(handle.incarnation, true);
  await processors.pause(handle, signal);
}

/** Resumes the guest; from now on its silence counts. */
export async function letGoOn(edges: Edges, machine: Machine, signal: AbortSignal): Promise<void> {
  const { processors, handle } = pausableOf(edges, machine);
  await processors.resume(handle, signal);
  edges.guest.setQuiet(handle.incarnation, false);
}

/** Whether the guest is paused by request and not because it waits for something. */
export function isPausedOnRequest(status: EngineStatus): boolean {
  return status.state === 'paused' && status.reason === pausedOnRequest;
}

/** Undoes `standStill`: resumes a guest that is paused on request, and sets its clock. */
export async function goOnAgain(
  edges: Edges,
  { subject: machine, signal }: StepContext<Machine>,
): Promise<void> {
  if (machine.incarnation) edges.guest.setQuiet(machine.incarnation, false);
  if (!machine.handle) return;
  // When its VMM is gone, there is nothing to undo; the exit watcher reports it.
  if (!isPausedOnRequest(await engineOf(edges, machine).inspect(machine.handle, signal))) return;
  await letGoOn(edges, machine, signal);
  await tellTime(edges, machine, signal);
}

/**
 * Sets the clock of a guest that was paused. If it does not answer, its clock stays wrong, which is no reason
 * to end it.
 */
export async function tellTime(edges: Edges, machine: Machine, parent: AbortSignal): Promise<void> {
  try {
    const signal = AbortSignal.any([parent, AbortSignal.timeout(tellTimeoutMs)]);
    await edges.guest.resync(guestOf(machine), identityOf(machine), signal);
  } catch (error) {
    edges.log.warn({ machine: machine.id, err: error }, 'clock of resumed guest not set');
  }
}
