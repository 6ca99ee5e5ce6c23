/**
 * starting → running: launches this incarnation, waits until its guest answers, sends the guest its identity.
 * Undo: ends the VMM; the console stays readable until the next start or the delete.
 */
import { abortable } from '../../../lib/abort.ts';
import type { Limiter } from '../../../lib/limiter.ts';
import { timeOf } from '../../../lib/times.ts';
import { AppError } from '../../errors.ts';
import type { StepContext } from '../../operations/definition.ts';
import type { Operation, OperationKind } from '../../operations/operation.ts';
import { type EngineHandle, limitsOfSize } from '../../ports/engine.ts';
import type { Machine } from '../machine.ts';
import { planRestart } from '../restarts.ts';
import type { MachineOperation, MachineStep } from '../subject.ts';
import { type Edges, engineOf, requireDiskSpace } from './context.ts';
import { readyStep } from './ready.ts';
import { askGuestToPowerOff, stopGraceMs } from './stop.ts';

/** Spawning a VMM and connecting to its monitor; a few seconds at worst on a loaded host. */
const launchTimeoutMs = 30_000;
/** From launch to the guest's first answer. A cold boot under TCG on a loaded host takes tens of seconds. */
export const bootTimeoutMsDefault = 120_000;
const clearTimeoutMs = 30_000;

export interface StartParams {
  readonly previousIncarnation: string | null;
  /** For a restart: the VMM that still runs. */
  readonly previousHandle: EngineHandle | null;
}

/** The store keeps params as plain JSON; `nextBoot` in `intents.ts` writes them. */
function paramsOf({ params }: Operation): StartParams {
  const { previousIncarnation = null, previousHandle = null } = params as Partial<StartParams>;
  return { previousIncarnation, previousHandle };
}

export function startOperation(edges: Edges, boot: BootOptions): MachineOperation {
  return bootOperation('machine.start', [], edges, boot);
}

export interface BootOptions {
  /** Limits concurrent boots. */
  readonly limiter: Limiter;
  /** From launch to the guest's first answer. */
  readonly bootTimeoutMs: number;
}

/** A start that first ends the running incarnation, gracefully if possible. */
export function restartOperation(edges: Edges, boot: BootOptions): MachineOperation {
  return bootOperation('machine.restart', [quitStep(edges)], edges, boot);
}

function bootOperation(
  kind: OperationKind,
  before: readonly MachineStep[],
  edges: Edges,
  { limiter, bootTimeoutMs }: BootOptions,
): MachineOperation {
  return {
    kind,
    transit: 'starting',
    limiter,
    steps: [
      ...before,
      clearStep(edges, before.length === 0),
      launchStep(edges),
      readyStep(edges, bootTimeoutMs),
    ],
    succeeded: 'running',
    onSuccess: (_, at) => ({ startedAt: at.toISOString(), failure: null }),
    failed: 'failed',
    cancelled: 'stopped',
    // No failure means that a stop has cancelled it.
    onUndone: (machine, failure) => ({
      handle: null,
      failure,
      ...(failure ? planRestart(machine, 'failed', timeOf(failure.at)) : { desired: 'stopped' as const }),
    }),
  };
}

function quitStep(edges: Edges): MachineStep {
  return {
    name: 'quit',
    // The machine's record no longer names the old VMM when this operation begins.
    isOwedFromBegin: true,
    timeoutMs: stopGraceMs * 2,
    async do({ subject: machine, operation, signal }) {
      const { previousHandle } = paramsOf(operation);
      if (!previousHandle) return;
      await askGuestToPowerOff(edges, machine, previousHandle, signal);
      await edges.guest.release(previousHandle.incarnation);
      await engineOf(edges, machine).stop(previousHandle, signal);
    },
    // The machine ends stopped or failed, so the old VMM must not keep running. It may never have been asked
    // to end.
    async undo(context) {
      const { subject: machine, operation, signal } = context;
      const { previousHandle } = paramsOf(operation);
      if (previousHandle) await askGuestToPowerOff(edges, machine, previousHandle, signal);
      await clearPrevious(edges, context);
    },
  };
}

/** Owed from the start, unless an earlier step is, which first asks the guest to end. */
function clearStep(edges: Edges, isOwedFromBegin: boolean): MachineStep {
  return {
    name: 'clear',
    isOwedFromBegin,
    timeoutMs: clearTimeoutMs,
    do: (context) => clearPrevious(edges, context),
    undo: (context) => clearPrevious(edges, context),
  };
}

/** Destroys the remains of the previous incarnation; nothing refers to it any more. */
async function clearPrevious(
  edges: Edges,
  { subject: machine, operation, signal }: StepContext<Machine>,
): Promise<void> {
  const { previousIncarnation } = paramsOf(operation);
  if (!previousIncarnation) return;
  await edges.guest.release(previousIncarnation);
  await engineOf(edges, machine).destroy(previousIncarnation, signal);
}

function launchStep(edges: Edges): MachineStep {
  return {
    name: 'launch',
    isVolatile: true,
    timeoutMs: launchTimeoutMs,
    async do({ subject: machine, operation, signal }) {
      const incarnation = requireIncarnation(machine);
      await requireDiskSpace(edges, signal);
      const { id: machineId, hostId, slot, imageDigest, spec } = machine;
      const disk = edges.disks.locate(machineId, imageDigest);
      const [kit] = await Promise.all([
        edges.images.bootKit(imageDigest, signal),
        // The disk size may have been increased since the last start. A VMM that already runs has a large
        // enough disk.
        edges.disks.grow({ machineId, slot, imageDigest, diskMib: spec.diskMib }, signal),
        // Written before there is a VMM that only the database knows.
        abortable(edges.records.write(machine), signal),
      ]);
      const handle = await engineOf(edges, machine).launch(
        {
          machineId,
          hostId,
          incarnation,
          slot,
          vcpuCount: spec.vcpuCount,
          memoryMib: spec.memoryMib,
          diskMib: spec.diskMib,
          source: {
            kind: 'kernel',
            kernelPath: kit.kernelPath,
            initrdPath: kit.initrdPath,
            kernelArgs: kit.kernelArgs,
          },
          disks: [{ ...disk, readOnly: false }],
          nics: [],
          limits: limitsOfSize,
        },
        signal,
      );
      // A start interrupted by a host reboot continues in another boot than it began in.
      return { details: { handle, bootId: operation.owner.bootId } };
    },
    async undo({ subject: machine, signal }) {
      const incarnation = requireIncarnation(machine);
      await edges.guest.release(incarnation);
      const driver = engineOf(edges, machine);
      const handle = machine.handle ?? (await driver.find(incarnation, signal));
      if (handle) await driver.stop(handle, signal);
      else await driver.destroy(incarnation, signal);
    },
  };
}

function requireIncarnation(machine: Machine): string {
  if (machine.incarnation) return machine.incarnation;
  throw new AppError('internal', `machine ${machine.id} starts without an incarnation`);
}
