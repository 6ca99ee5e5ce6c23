/**
 * The operations on snapshots. `snapshot.create` is about a snapshot and its machine, which stays in its state and can be used
 * meanwhile; only its other operations have to wait. A machine that ends meanwhile makes the snapshot fail.
 */
import { AppError } from '../errors.ts';
import type { Machine } from '../machines/machine.ts';
import { type Edges, requireDiskSpace } from '../machines/steps/context.ts';
import { tellTime } from '../machines/steps/pause.ts';
import { requireFeatures, requireSpace, suspendableOf } from '../machines/steps/suspend.ts';
import type {
  OperationDefinition,
  OperationDefinitions,
  StepContext,
  SubjectPort,
} from '../operations/definition.ts';
import { type Operation, type OperationKind, subjectId } from '../operations/operation.ts';
import type { SnapshotPlaces } from '../ports/snapshots.ts';
import type { Repositories, SnapshotPatch } from '../ports/store.ts';
import type { Snapshot } from './snapshot.ts';

export interface Snapshotting {
  readonly snapshot: Snapshot;
  /** Null when it was deleted meanwhile, and for operations that are not about a machine. */
  readonly machine: Machine | null;
}

/** Written by `snapshot.create`. */
export interface SnapshotParams {
  /** Whether to save the guest's memory. */
  readonly hasMemory: boolean;
  /** Whether it is to be deleted as soon as machines are made from it; nobody else can use it. */
  readonly isTemporary: boolean;
}

export type SnapshotOperationKind = Extract<OperationKind, `snapshot.${string}`>;
type Definition = OperationDefinition<Snapshotting>;

/** A GiB takes a few seconds, on a slow and busy disk minutes; disks may have many. */
const captureTimeoutMs = 60 * 60_000;
const publishTimeoutMs = 60 * 60_000;
const removeTimeoutMs = 5 * 60_000;

export function snapshotDefinitions(edges: Edges): Readonly<Record<SnapshotOperationKind, Definition>> {
  return { 'snapshot.create': createOperation(edges), 'snapshot.delete': deleteOperation(edges) };
}

/** Definitions for taking up operations after a crash. */
export function asOperationDefinitions(
  definitions: ReturnType<typeof snapshotDefinitions>,
): OperationDefinitions {
  return definitions as OperationDefinitions;
}

function paramsOf({ params }: Operation): SnapshotParams {
  return params as unknown as SnapshotParams;
}

function createOperation(edges: Edges): Definition {
  return {
    kind: 'snapshot.create',
    steps: [
      {
        name: 'capture',
        timeoutMs: captureTimeoutMs,
        do: (context) => capture(edges, context),
        async undo({ subject: { snapshot, machine }, signal }) {
          if (machine) await abandon(edges, machine, signal);
          await edges.snapshots.remove(snapshot.id, signal);
        },
      },
      {
        name: 'publish',
        timeoutMs: publishTimeoutMs,
        do: async ({ subject: { snapshot }, signal }) => ({
          details: (await edges.snapshots.publish(snapshot.id, signal)) satisfies SnapshotPatch,
        }),
        undo: ({ subject: { snapshot }, signal }) => edges.snapshots.remove(snapshot.id, signal),
      },
    ],
    subject: {
      ...subject,
      async succeed(tx, operation, at) {
        const state = paramsOf(operation).isTemporary ? 'deleting' : 'ready';
        const snapshot = await tx.snapshots.patch(idOf(operation), { state }, at.toISOString());
        return { snapshot: snapshot ?? (await required(tx, operation)), machine: null };
      },
      fail: (tx, operation, _, at) => tx.snapshots.remove(idOf(operation), at.toISOString()),
    },
  };
}

function deleteOperation(edges: Edges): Definition {
  return {
    kind: 'snapshot.delete',
    steps: [
      {
        name: 'files',
        timeoutMs: removeTimeoutMs,
        do: ({ subject: { snapshot }, signal }) => edges.snapshots.remove(snapshot.id, signal),
      },
    ],
    subject: {
      ...subject,
      async succeed(tx, operation, at) {
        const snapshot = await required(tx, operation);
        await tx.snapshots.remove(snapshot.id, at.toISOString());
        return { snapshot, machine: null };
      },
      // Some of its files may be gone. It stays as it is, and deleting it again is the way out.
      fail: async () => undefined,
    },
  };
}

const idOf = (operation: Operation) => subjectId(operation, 'snapshot');

async function read(repositories: Repositories, operation: Operation): Promise<Snapshotting | null> {
  const snapshot = await repositories.snapshots.get(idOf(operation));
  if (!snapshot) return null;
  const isOnMachine = operation.subjects.some(({ kind }) => kind === 'machine');
  return { snapshot, machine: isOnMachine ? await repositories.machines.get(snapshot.machineId) : null };
}

async function required(repositories: Repositories, operation: Operation): Promise<Snapshot> {
  const found = await repositories.snapshots.get(idOf(operation));
  if (found) return found;
  throw new AppError('internal', `operation ${operation.id} has lost its snapshot`);
}

const subject: Pick<SubjectPort<Snapshotting>, 'read' | 'keep'> = {
  read,
  async keep(tx, operation, details, at) {
    await tx.snapshots.patch(idOf(operation), details as SnapshotPatch, at.toISOString());
  },
};

async function capture(
  edges: Edges,
  { subject: { snapshot, machine }, operation, signal }: StepContext<Snapshotting>,
): Promise<{ readonly output: unknown }> {
  if (!machine) throw new AppError('conflict', 'the machine was deleted meanwhile');
  // What an earlier daemon has left of this step.
  await abandon(edges, machine, signal);
  await requireDiskSpace(edges, signal);
  const { hasMemory } = paramsOf(operation);
  const places = await edges.snapshots.begin(snapshot.id, signal);
  if (machine.state === 'running' || machine.state === 'paused')
    return { output: await captureUp(edges, machine, places, hasMemory, signal) };
  const isAtRest = ['created', 'stopped', 'suspended'].includes(machine.state);
  if (!isAtRest || (hasMemory && machine.state !== 'suspended'))
    throw new AppError('conflict', `the machine is ${machine.state} now`, {
      hint: 'Try again, perhaps without its memory.',
    });
  await edges.disks.copyOut(machine.id, places.disk, signal);
  if (hasMemory) await edges.savedMemories.shareWith(machine.id, places.memory, signal);
  return { output: { pausedMs: 0 } };
}

async function captureUp(
  edges: Edges,
  machine: Machine,
  { disk, memory }: SnapshotPlaces,
  hasMemory: boolean,
  signal: AbortSignal,
) {
  const { snapshots, handle } = suspendableOf(edges, machine);
  const { slot, imageDigest } = machine;
  const isRunning = machine.state === 'running';
  if (hasMemory) {
    if (isRunning) await requireFeatures(edges, machine, ['rekey', 'adopt'], signal);
    await requireSpace(edges, machine, signal);
  }
  await edges.disks.makeEmpty({ machineId: machine.id, slot, imageDigest }, disk, signal);
  const captured = await snapshots.capture(
    handle,
    { memoryDirectory: hasMemory ? memory : null, disk },
    signal,
  );
  // Its clock stood still as well.
  if (isRunning && captured.pausedMs > 0) await tellTime(edges, machine, signal);
  return captured;
}

async function abandon(edges: Edges, machine: Machine, signal: AbortSignal): Promise<void> {
  const { handle, state } = machine;
  if (!handle || (state !== 'running' && state !== 'paused')) return;
  const { snapshots } = suspendableOf(edges, machine);
  await snapshots.abandonCapture(handle, state === 'running', signal);
}
