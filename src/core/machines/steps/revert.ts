/**
 * running, paused or at rest → stopping → suspended or stopped: ends the VMM, and replaces the machine's disk and memory by
 * those of a snapshot. What was not in a snapshot is lost. Undo: a machine whose VMM has begun to end is stopped.
 */
import type { MachineNetworks } from '../../network/networks.ts';
import type { StepContext } from '../../operations/definition.ts';
import type { Machine } from '../machine.ts';
import type { MachineOperation } from '../subject.ts';
import { cloneParamsOf, takeMemory } from './clone.ts';
import { type Edges, requireDiskSpace } from './context.ts';
import { endVmmOf } from './stop.ts';

const endTimeoutMs = 30_000;
/** A disk of many GiB on a busy host. */
const copyTimeoutMs = 60 * 60_000;

export function revertOperation(edges: Edges, networks: MachineNetworks): MachineOperation {
  const endVmm = async ({ subject: machine, signal }: StepContext<Machine>) => {
    await endVmmOf(edges, machine, signal);
    if (machine.incarnation) networks.forget(machine.incarnation);
    await networks.detach(machine.id, signal);
  };
  return {
    kind: 'machine.revert',
    transit: 'stopping',
    steps: [
      { name: 'end', isOwedFromBegin: true, timeoutMs: endTimeoutMs, do: endVmm, undo: endVmm },
      {
        name: 'content',
        isOwedFromBegin: true,
        timeoutMs: copyTimeoutMs,
        async do({ subject: machine, operation, signal }) {
          await requireDiskSpace(edges, signal);
          const { id, slot, imageDigest, spec } = machine;
          const { snapshotId, hasMemory } = cloneParamsOf(operation);
          // It fits the present disk only.
          await edges.savedMemories.discard(id, signal);
          const content = edges.snapshots.locate(snapshotId).disk;
          await edges.disks.replace(
            { machineId: id, slot, imageDigest, diskMib: spec.diskMib, content },
            signal,
          );
          const savedMemory = hasMemory ? await takeMemory(edges, id, operation, signal) : null;
          return { details: { savedMemory } };
        },
        undo: ({ subject: machine, signal }) => edges.savedMemories.discard(machine.id, signal),
      },
    ],
    succeeded: (operation) => (cloneParamsOf(operation).hasMemory ? 'suspended' : 'stopped'),
    onSuccess: () => ({ handle: null, failure: null }),
    failed: 'stopped',
    cancelled: 'stopped',
    // The operation reports the failure.
    onUndone: () => ({ handle: null, failure: null, savedMemory: null }),
  };
}
