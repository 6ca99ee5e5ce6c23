/** creating → created: makes the machine's disk. Undo: removes the machine. */
import { abortable } from '../../../lib/abort.ts';
import { AppError } from '../../errors.ts';
import type { MachineOperation } from '../subject.ts';
import { type Edges, requireDiskSpace } from './context.ts';

function imageGone(): AppError {
  return new AppError('not_found', 'the image was deleted or replaced while the machine was created', {
    hint: 'Create the machine again; flotilla images ls says what there is.',
  });
}

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
          // The image may have been deleted since its name was resolved. From here on the machine's record
          // keeps it.
          if (!(await edges.images.find(imageDigest, signal))) throw imageGone();
          // A disk without a record beside it could not be adopted after the loss of the database.
          await abortable(edges.records.begin(machine), signal);
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
