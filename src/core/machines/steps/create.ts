/** creating → created: the machine's own disk. Undone, the machine is gone. */

import type { MachineOperation } from '../subject.ts';
import { type Edges, requireDiskSpace } from './context.ts';

const diskTimeoutMs = 60_000;

export function createOperation(edges: Edges): MachineOperation {
  return {
    kind: 'machine.create',
    transit: 'creating',
    steps: [
      {
        name: 'disk',
        timeoutMs: diskTimeoutMs,
        async do({ subject: machine, signal }) {
          await requireDiskSpace(edges, signal);
          const { id, slot, imageDigest, spec } = machine;
          await edges.disks.prepare({ machineId: id, slot, imageDigest, diskMib: spec.diskMib }, signal);
        },
        undo: ({ subject: machine, signal }) => edges.disks.remove(machine.id, signal),
      },
    ],
    succeeded: 'created',
    onSuccess: () => ({}),
    failed: 'deleted',
    cancelled: 'deleted',
    onUndone: () => ({}),
  };
}
