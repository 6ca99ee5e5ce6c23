/** What `/api/v1/snapshots`, `/machines/{id}/snapshots` and `/machines/{id}/fork` accept and send. */
import { z } from '@hono/zod-openapi';
import { snapshotStates } from '../../../core/snapshots/snapshot.ts';
import { labelsField, nameField } from '../../dialects/machines/fields.ts';
import { machineBody } from '../../dialects/machines/schema.ts';
import { closed, closedQuery, errorBody, moment, pageQuery } from '../../schema.ts';

/** More than anybody keeps of one machine. */
const keepMax = 1000;
const forksMax = 100;

export const createSnapshotBody = closed({
  name: nameField.optional().openapi({
    description: 'Unique among your snapshots; as a machine’s name. Default: one is made up.',
    example: 'before-upgrade',
  }),
  labels: labelsField.optional().openapi({ example: { reason: 'upgrade' } }),
  memory: z.boolean().optional().openapi({
    description:
      'Whether to copy the memory as well as the disk. Default: true if the machine is running, paused or suspended.',
  }),
  keep: z.int().min(1).max(keepMax).optional().openapi({
    description: 'Afterwards only this many snapshots of the machine are kept, the newest. Default: all.',
    example: 7,
  }),
}).openapi('CreateSnapshot');

export const snapshotStatus = z.enum(snapshotStates).openapi('SnapshotStatus', {
  description: 'Only from a `ready` one can machines be made or set back.',
});

export const snapshotBody = z
  .object({
    id: z.string().openapi({ example: 's7k2m9x4c1qa' }),
    name: z.string().openapi({ example: 'before-upgrade' }),
    status: snapshotStatus,
    machine_id: z
      .string()
      .openapi({ description: 'The machine it was taken of, which may be gone.', example: 'k3v9x2m1q8zt' }),
    machine_name: z.string().openapi({ description: 'That machine’s name at that time.', example: 'web' }),
    parent_id: z.string().nullable().openapi({
      description:
        'The snapshot that the machine was made from, or last set back to, which may be gone; null if there is none.',
      example: null,
    }),
    has_memory: z.boolean().openapi({
      description: 'Whether it has the memory. Without, its machines boot from its disk.',
      example: true,
    }),
    vcpu_count: z.int().openapi({ description: 'Number of vCPUs.', example: 1 }),
    mem_size_mib: z.int().openapi({ description: 'Memory in MiB.', example: 256 }),
    disk_size_mib: z.int().openapi({ description: 'Size of the root disk in MiB.', example: 1024 }),
    image: z.string().openapi({ description: 'Name of the image below its disk.', example: 'busybox' }),
    labels: z
      .record(z.string(), z.string())
      .openapi({ description: 'Your labels.', example: { reason: 'upgrade' } }),
    size_bytes: z.int().nullable().openapi({
      description: 'What its files take on the host; null while it is made.',
      example: 73_400_320,
    }),
    created_at: moment,
    updated_at: moment,
  })
  .openapi('Snapshot');
export type SnapshotBody = z.infer<typeof snapshotBody>;

export const snapshotList = z
  .object({
    snapshots: z.array(snapshotBody),
    total: z.int().openapi({ description: 'On all pages.', example: 1 }),
  })
  .openapi('SnapshotList');

export const listSnapshotsQuery = closedQuery(pageQuery('Snapshots'));
export const listAllSnapshotsQuery = closedQuery({
  ...pageQuery('Snapshots'),
  machine: z
    .string()
    .min(1)
    .max(128)
    .optional()
    .openapi({
      param: { description: 'Only those of this machine: id or name; of a deleted one the id.' },
      example: 'web',
    }),
});

export const snapshotParams = z.object({
  id: z
    .string()
    .min(1)
    .max(128)
    .openapi({ param: { description: 'Id or name of the snapshot.' }, example: 'before-upgrade' }),
});

export const restoreSnapshotBody = closed({
  start: z.boolean().optional().openapi({
    description: 'Whether the machine runs afterwards. Default: true if the snapshot has memory.',
  }),
}).openapi('RestoreSnapshot');

export const forkBody = closed({
  count: z.int().min(1).max(forksMax).optional().openapi({
    description: 'How many machines to make, at most 100. Default: 1.',
    example: 3,
  }),
  name: nameField.optional().openapi({
    description:
      'What they are called, followed by `-` and a number from 1. Default: the machine’s own name.',
    example: 'worker',
  }),
  labels: labelsField.optional().openapi({ description: 'Labels of each. Default: the machine’s own.' }),
  start: z
    .boolean()
    .optional()
    .openapi({ description: 'Whether they go on from this moment at once. Default: true.' }),
}).openapi('ForkMachine');

export const forkedBody = z
  .object({
    machines: z.array(
      z
        .object({
          name: z.string().openapi({ example: 'worker-1' }),
          machine: machineBody.nullable().openapi({ description: 'Null: it could not be made.' }),
          error: errorBody.shape.error
            .nullable()
            .openapi({ description: 'Why it could not be made, or not be started; null: nothing is wrong.' }),
        })
        .openapi('ForkedMachine'),
    ),
  })
  .openapi('ForkedMachines');
