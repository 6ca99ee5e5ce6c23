/**
 * creating → created or suspended: makes the machine's disk and, if the snapshot has memory, its saved memory from a
 * snapshot. Its first start restores that memory as another machine. Undo: removes the machine.
 */
import { abortable } from '../../../lib/abort.ts';
import type { Operation } from '../../operations/operation.ts';
import type { MachineOperation } from '../subject.ts';
import { type Edges, requireDiskSpace } from './context.ts';

/** A disk of many GiB on a busy host. */
const copyTimeoutMs = 60 * 60_000;
const memoryTimeoutMs = 60_000;

/** Written with the operation. */
export interface CloneParams {
  readonly snapshotId: string;
  /** The machine of which the snapshot was taken. */
  readonly machineId: string;
  readonly hasMemory: boolean;
}

export function cloneParamsOf({ params }: Operation): CloneParams {
  return params as unknown as CloneParams;
}

export function cloneOperation(edges: Edges): MachineOperation {
  return {
    kind: 'machine.clone',
    transit: 'creating',
    steps: [
      {
        name: 'disk',
        timeoutMs: copyTimeoutMs,
        async do({ subject: machine, operation, signal }) {
          await requireDiskSpace(edges, signal);
          const { id, slot, imageDigest, spec } = machine;
          const { snapshotId } = cloneParamsOf(operation);
          await edges.snapshots.verify(snapshotId, signal);
          await abortable(edges.records.begin(machine), signal);
          const content = edges.snapshots.locate(snapshotId).disk;
          await edges.disks.prepare(
            { machineId: id, slot, imageDigest, diskMib: spec.diskMib, content },
            signal,
          );
        },
        undo: ({ subject: machine, signal }) => edges.disks.remove(machine.id, signal),
      },
      {
        name: 'memory',
        timeoutMs: memoryTimeoutMs,
        do: async ({ subject: machine, operation, signal }) =>
          cloneParamsOf(operation).hasMemory
            ? { details: { savedMemory: await takeMemory(edges, machine.id, operation, signal) } }
            : {},
        undo: ({ subject: machine, signal }) => edges.savedMemories.discard(machine.id, signal),
      },
    ],
    succeeded: (operation) => (cloneParamsOf(operation).hasMemory ? 'suspended' : 'created'),
    onSuccess: () => ({}),
    failed: 'deleted',
    cancelled: 'deleted',
    onUndone: () => ({}),
  };
}

/** Makes a snapshot's memory the machine's saved memory. */
export async function takeMemory(edges: Edges, machineId: string, operation: Operation, signal: AbortSignal) {
  const params = cloneParamsOf(operation);
  await edges.savedMemories.beginFrom(machineId, edges.snapshots.locate(params.snapshotId).memory, signal);
  const saved = {
    // The engine's files say it.
    incarnation: '',
    operationId: operation.id,
    savedAt: edges.clock.now().toISOString(),
    ...(params.machineId === machineId ? {} : { machineId: params.machineId }),
  };
  await edges.savedMemories.publish(machineId, saved, signal);
  return saved;
}
