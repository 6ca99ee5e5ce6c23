/**
 * starting → running: attaches the machine to the network and launches this incarnation, waits until its guest answers,
 * sends the guest its identity. Undo: ends the VMM and its place in the network; the console stays readable until the next start or the delete.
 *
 * A suspended machine's guest is restored from its saved memory, which can be used once: it fits the disk only as long as
 * the guest has not gone on. Before that, an undo leaves the machine suspended.
 */
import { abortable } from '../../../lib/abort.ts';
import type { Limiter } from '../../../lib/limiter.ts';
import { timeOf } from '../../../lib/times.ts';
import { AppError } from '../../errors.ts';
import type { Attaching, MachineNetworks } from '../../network/networks.ts';
import type { StepContext } from '../../operations/definition.ts';
import type { Operation, OperationKind, SubjectFailure } from '../../operations/operation.ts';
import { type EngineDriver, type EngineHandle, type LaunchSource, limitsOfSize } from '../../ports/engine.ts';
import { giveUpHint } from '../../ports/saved-memory.ts';
import type { MachinePatch } from '../../ports/store.ts';
import { consoleBytesMax } from '../console.ts';
import type { Machine } from '../machine.ts';
import { planRestart } from '../restarts.ts';
import { hasBegun, type MachineOperation, type MachineStep } from '../subject.ts';
import { type Edges, engineOf, requireDiskSpace } from './context.ts';
import { letGoOn } from './pause.ts';
import { readyStep } from './ready.ts';
import { askGuestToPowerOff, stopGraceMs } from './stop.ts';

/** Spawning a VMM and connecting to its monitor; a few seconds at worst on a loaded host. */
const launchTimeoutMs = 30_000;
/** The same, and reading the memory from a slow and busy disk. */
const loadTimeoutMs = 15 * 60_000;
/** From launch to the guest's first answer. A cold boot under TCG on a loaded host takes tens of seconds. */
export const bootTimeoutMsDefault = 120_000;
const clearTimeoutMs = 30_000;
const networkTimeoutMs = 30_000;
const continueTimeoutMs = 30_000;
const memoryTimeoutMs = 30_000;

export interface StartParams {
  /** Whether the saved memory is another machine's; see `readyStep`. */
  readonly isFork: boolean;
  readonly previousIncarnation: string | null;
  /** For a restart: the VMM that still runs. */
  readonly previousHandle: EngineHandle | null;
}

/** The store keeps params as plain JSON; `nextBoot` in `intents.ts` writes them. */
function paramsOf({ params }: Operation): StartParams {
  const {
    previousIncarnation = null,
    previousHandle = null,
    isFork = false,
  } = params as Partial<StartParams>;
  return { previousIncarnation, previousHandle, isFork };
}

export function startOperation(edges: Edges, networks: MachineNetworks, boot: BootOptions): MachineOperation {
  return bootOperation('machine.start', {}, edges, networks, boot);
}

/** The start of a suspended machine. */
export function restoreOperation(
  edges: Edges,
  networks: MachineNetworks,
  boot: BootOptions,
): MachineOperation {
  const between = [useMemoryStep(edges), continueStep(edges)];
  return bootOperation('machine.restore', { between, launchMs: loadTimeoutMs }, edges, networks, boot);
}

export interface BootOptions {
  /** Limits concurrent boots. */
  readonly limiter: Limiter;
  /** From launch to the guest's first answer. */
  readonly bootTimeoutMs: number;
}

/** A start that first ends the running incarnation, gracefully if possible. */
export function restartOperation(
  edges: Edges,
  networks: MachineNetworks,
  boot: BootOptions,
): MachineOperation {
  return bootOperation('machine.restart', { before: [quitStep(edges)] }, edges, networks, boot);
}

interface BootSteps {
  readonly before?: readonly MachineStep[];
  /** After the launch, and before the guest is asked. */
  readonly between?: readonly MachineStep[];
  readonly launchMs?: number;
}

function bootOperation(
  kind: OperationKind,
  { before = [], between = [], launchMs = launchTimeoutMs }: BootSteps,
  edges: Edges,
  networks: MachineNetworks,
  { limiter, bootTimeoutMs }: BootOptions,
): MachineOperation {
  return {
    kind,
    transit: 'starting',
    limiter,
    steps: [
      ...before,
      clearStep(edges, before.length === 0),
      launchStep(edges, networks, launchMs),
      ...between,
      readyStep(edges, networks, bootTimeoutMs),
    ],
    succeeded: 'running',
    onSuccess: (_, at) => ({ startedAt: at.toISOString(), failure: null }),
    failed: (operation) => (keepsMemory(operation) ? 'suspended' : 'failed'),
    cancelled: (operation) => (keepsMemory(operation) ? 'suspended' : 'stopped'),
    onUndone: undone,
  };
}

const memoryStep = 'memory';

/** Whether a restore that is undone leaves the machine suspended. */
function keepsMemory(operation: Operation): boolean {
  return operation.kind === 'machine.restore' && !hasBegun(operation, memoryStep);
}

/** No failure means that a stop has cancelled it. */
function undone(machine: Machine, failure: SubjectFailure | null, operation: Operation): MachinePatch {
  // The operation reports the failure.
  if (keepsMemory(operation)) return { handle: null, failure: null, desired: 'stopped' };
  const ended = { handle: null, failure, savedMemory: null };
  if (failure === null) return { ...ended, desired: 'stopped' };
  return { ...ended, ...planRestart(machine, 'failed', timeOf(failure.at)) };
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

/** Keeps the console of the previous incarnation and destroys its remains; nothing refers to it any more. */
async function clearPrevious(
  edges: Edges,
  { subject: machine, operation, signal }: StepContext<Machine>,
): Promise<void> {
  const { previousIncarnation } = paramsOf(operation);
  if (!previousIncarnation) return;
  await edges.guest.release(previousIncarnation);
  const driver = engineOf(edges, machine);
  // What still runs is ended first, so that its console is complete.
  const handle = await driver.find(previousIncarnation, signal);
  if (handle) await driver.stop(handle, signal);
  await keepConsole(edges, machine, driver, previousIncarnation, signal);
  await driver.destroy(previousIncarnation, signal);
}

/**
 * A boot that printed nothing replaces no other, so that a failed start does not hide why the machine crashed.
 * Without a console that is kept, the machine starts nevertheless.
 */
async function keepConsole(
  edges: Edges,
  machine: Machine,
  driver: EngineDriver,
  incarnation: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    const piece = await driver.console?.read(incarnation, consoleBytesMax, signal);
    if (piece && piece.bytes.length > 0) await abortable(edges.consoles.keep(machine.id, piece), signal);
  } catch (error) {
    signal.throwIfAborted();
    edges.log.warn({ machine: machine.id, incarnation, err: error }, 'previous console not kept');
  }
}

/** Makes the machine's place in the network and its VMM side by side. The VMM runs once all rules are in force. */
function launchStep(edges: Edges, networks: MachineNetworks, launchMs: number): MachineStep {
  return {
    name: 'launch',
    isVolatile: true,
    // The machine may be attached since its last run.
    isOwedFromBegin: true,
    timeoutMs: networkTimeoutMs + launchMs,
    async do(context) {
      const attaching = networks.attach(context.subject, context.signal);
      try {
        const handle = await launch(edges, context, attaching);
        await attaching.ended;
        // A start interrupted by a host reboot continues in another boot than it began in.
        return { details: { handle, bootId: context.operation.owner.bootId } };
      } finally {
        // The step is not over before everything that it began; its own error is the one to show.
        await attaching.ended.catch(() => undefined);
      }
    },
    async undo({ subject: machine, signal }) {
      try {
        await endLaunched(edges, machine, signal);
      } finally {
        await networks.detach(machine.id, signal);
      }
    },
  };
}

async function launch(
  edges: Edges,
  { subject: machine, signal }: StepContext<Machine>,
  attaching: Attaching,
): Promise<EngineHandle> {
  const incarnation = requireIncarnation(machine);
  await requireDiskSpace(edges, signal);
  const { id: machineId, hostId, slot, imageDigest, spec } = machine;
  const disk = edges.disks.locate(machineId, imageDigest);
  const [source, nics] = await Promise.all([
    sourceOf(edges, machine, signal),
    attaching.nics,
    // The disk size may have been increased since the last start. A VMM that already runs has a large
    // enough disk.
    edges.disks.grow({ machineId, slot, imageDigest, diskMib: spec.diskMib }, signal),
    // Written before there is a VMM that only the database knows.
    abortable(edges.records.write(machine), signal),
  ]);
  return await engineOf(edges, machine).launch(
    {
      machineId,
      hostId,
      incarnation,
      slot,
      vcpuCount: spec.vcpuCount,
      memoryMib: spec.memoryMib,
      diskMib: spec.diskMib,
      source,
      disks: [{ ...disk, readOnly: false }],
      nics,
      limits: limitsOfSize,
    },
    signal,
    attaching.inForce,
  );
}

async function endLaunched(edges: Edges, machine: Machine, signal: AbortSignal): Promise<void> {
  const incarnation = requireIncarnation(machine);
  await edges.guest.release(incarnation);
  const driver = engineOf(edges, machine);
  const handle = machine.handle ?? (await driver.find(incarnation, signal));
  if (handle) await driver.stop(handle, signal);
  else await driver.destroy(incarnation, signal);
}

async function sourceOf(edges: Edges, machine: Machine, signal: AbortSignal): Promise<LaunchSource> {
  const { id, imageDigest, savedMemory } = machine;
  if (savedMemory !== null) {
    const saved = await edges.savedMemories.find(id, signal);
    if (saved?.operationId !== savedMemory.operationId) throw memoryGone(id);
    return { kind: 'restore', directory: edges.savedMemories.locate(id) };
  }
  const { kernelPath, initrdPath, kernelArgs, needsAcpi } = await edges.images.bootKit(imageDigest, signal);
  return { kind: 'kernel', kernelPath, initrdPath, kernelArgs, needsAcpi };
}

function memoryGone(id: string): AppError {
  return new AppError('conflict', `the saved memory of machine ${id} is not there`, {
    hint: giveUpHint,
  });
}

/** Before the guest goes on, because its saved memory does not fit its disk any more then. */
function useMemoryStep(edges: Edges): MachineStep {
  return {
    name: memoryStep,
    timeoutMs: memoryTimeoutMs,
    async do({ subject: machine, signal }) {
      await edges.savedMemories.discard(machine.id, signal);
      return { details: { savedMemory: null } };
    },
    undo: ({ subject: machine, signal }) => edges.savedMemories.discard(machine.id, signal),
  };
}

function continueStep(edges: Edges): MachineStep {
  return {
    name: 'continue',
    isVolatile: true,
    timeoutMs: continueTimeoutMs,
    async do({ subject: machine, signal }) {
      // After a reboot of the host in between, the guest was booted.
      if (machine.handle?.restoredFrom) await letGoOn(edges, machine, signal);
    },
  };
}

function requireIncarnation(machine: Machine): string {
  if (machine.incarnation) return machine.incarnation;
  throw new AppError('internal', `machine ${machine.id} starts without an incarnation`);
}
