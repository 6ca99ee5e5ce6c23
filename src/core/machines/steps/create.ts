/** creating → created: the machine's own disk. Undone, the machine is gone. */
import type { OperationDefinition } from '../../operations/runner.ts';
import { type Edges, failureOf, requireDiskSpace } from './context.ts';

const diskTimeoutMs = 60_000;

export function createOperation(edges: Edges): OperationDefinition {
  return {
    kind: 'machine.create',
    transit: 'creating',
    steps: [
      {
        name: 'disk',
        timeoutMs: diskTimeoutMs,
        async do({ machine }) {
          await requireDiskSpace(edges);
          await edges.disks.prepare({
            machineId: machine.id,
            slot: machine.slot,
            imageDigest: machine.imageDigest,
            diskMib: machine.spec.diskMib,
          });
        },
        undo: ({ machine }) => edges.disks.remove(machine.id),
      },
    ],
    succeeded: 'created',
    onSuccess: () => ({}),
    failed: 'deleted',
    cancelled: 'deleted',
    onUndone: () => ({}),
    describeFailure: (machine, error, at) => failureOf(edges, machine, error, at),
  };
}
