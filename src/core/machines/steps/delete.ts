/** deleting → deleted: removes the VMM if there is one, then the disk, then the row. Cannot be undone. */

import type { MachineNetworks } from '../../network/networks.ts';
import type { MachineOperation } from '../subject.ts';
import { type Edges, engineOf } from './context.ts';

const stepTimeoutMs = 30_000;

export function deleteOperation(edges: Edges, networks: MachineNetworks): MachineOperation {
  return {
    kind: 'machine.delete',
    transit: 'deleting',
    steps: [
      {
        name: 'destroy',
        timeoutMs: stepTimeoutMs,
        async do({ subject: machine, signal }) {
          if (machine.incarnation) {
            await edges.guest.release(machine.incarnation);
            await engineOf(edges, machine).destroy(machine.incarnation, signal);
            networks.forget(machine.incarnation);
          }
          await networks.detach(machine.id, signal);
          return machine.incarnation === null ? undefined : { details: { handle: null } };
        },
      },
      {
        name: 'disk',
        timeoutMs: stepTimeoutMs,
        do: ({ subject: machine, signal }) => edges.disks.remove(machine.id, signal),
      },
    ],
    succeeded: 'deleted',
    onSuccess: () => ({ savedMemory: null }),
    failed: 'failed',
    cancelled: 'failed',
    onUndone: (_, failure) => ({ failure }),
  };
}
