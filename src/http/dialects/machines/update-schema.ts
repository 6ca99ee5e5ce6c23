/** The body that changes a machine. */
import { z } from '@hono/zod-openapi';
import { closed, integerMax } from '../../schema.ts';
import { envChanges, labelChanges, lifetimeField, nameField, restartField } from './fields.ts';

const atRest = 'Only while it is stopped.';

export const updateBody = closed({
  name: nameField.optional(),
  labels: labelChanges.optional(),
  env: envChanges.optional(),
  restart: restartField.optional(),
  lifetime_seconds: lifetimeField.nullable().optional().openapi({
    description: 'Seconds from now to its deletion; null: it is never deleted.',
    example: 3600,
  }),
  vcpu_count: z.int().min(1).optional().openapi({ description: atRest, maximum: integerMax, example: 2 }),
  mem_size_mib: z
    .int()
    .min(4)
    .optional()
    .openapi({ description: `Memory in MiB. ${atRest}`, maximum: integerMax, example: 512 }),
  disk_size_mib: z
    .int()
    .min(1)
    .optional()
    .openapi({
      description: `Size of the root disk in MiB, no less than before. ${atRest}`,
      maximum: integerMax,
      example: 2048,
    }),
}).openapi('UpdateMachine');
export type UpdateBody = z.infer<typeof updateBody>;
