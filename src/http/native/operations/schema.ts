/**
 * The visible form of operations: what was done and when, but not the data that steps keep for each other.
 */
import { z } from '@hono/zod-openapi';
import {
  operationKinds,
  operationStates,
  stepPhases,
  subjectKinds,
} from '../../../core/operations/operation.ts';
import { closedQuery, many, moment, pageQuery } from '../../schema.ts';

const state = z.enum(operationStates).openapi('OperationState', {
  description:
    '`undoing`: after a failed step or a cancellation, the steps that started are being undone. `succeeded`, `failed` and `cancelled` are final.',
});

const step = z
  .object({
    name: z.string().openapi({ description: 'Name of the step.', example: 'launch' }),
    phase: z.enum(stepPhases).openapi({ description: 'Latest phase of the step.', example: 'succeeded' }),
    at: moment.openapi({ description: 'Time (UTC) at which the phase began.' }),
  })
  .openapi('OperationStep');

const failure = z
  .object({
    code: z.string().openapi({
      description:
        'For programs: `timed_out`, `guest` (the guest or its link), `engine_failed` (the VMM), `exhausted` (no memory or disk space left), `unavailable`, `unsupported`, `conflict` (cancelled), `abandoned` (a restarted daemon could not continue it) or `internal`. New codes may be added.',
      example: 'timed_out',
    }),
    message: z
      .string()
      .openapi({ description: 'For people.', example: 'The guest did not answer within 60 s' }),
    step: z
      .string()
      .nullable()
      .openapi({ description: 'Step that failed; null if no step failed.', example: 'ready' }),
  })
  .openapi('OperationFailure');

const subject = z
  .object({
    kind: z.enum(subjectKinds).openapi({ description: 'Kind of the subject.', example: 'machine' }),
    id: z.string().openapi({ description: 'Identifier of the subject.', example: 'k3v9x2m1q8zt' }),
  })
  .openapi('OperationSubject');

export const operationBody = z
  .object({
    id: z.string().openapi({ description: 'Identifier of the operation.', example: 'p7d0w4h2n6ry' }),
    kind: z.enum(operationKinds).openapi({ description: 'What it does.', example: 'machine.start' }),
    subjects: z
      .array(subject)
      .openapi({ description: 'Machines or images that it changes. They may no longer exist.' }),
    machine_id: z.string().nullable().openapi({
      description: 'Id of the machine that it changes; null if it changes none.',
      example: 'k3v9x2m1q8zt',
    }),
    state,
    cancel_requested: z
      .boolean()
      .openapi({ description: 'Whether another request, such as a stop, cancels it.', example: false }),
    steps: z.array(step).openapi({ description: 'Steps that started, oldest first.' }),
    failure: failure.nullable().openapi({ description: 'Why it failed or was cancelled; null otherwise.' }),
    created_at: moment,
    updated_at: moment,
  })
  .openapi('Operation');
export type OperationBody = z.infer<typeof operationBody>;

export const operationList = z
  .object({
    operations: z.array(operationBody).openapi({ description: 'Operations on this page.' }),
    total: z.int().openapi({ description: 'Number of matching operations on all pages.', example: 1 }),
  })
  .openapi('OperationList');

export const listQuery = closedQuery({
  machine: z
    .string()
    .min(1)
    .max(128)
    .optional()
    .openapi({
      param: {
        description:
          'Only operations on this machine: its id, even after its deletion, or its name while it exists.',
      },
    }),
  state: many(state).openapi({
    param: { description: 'State of the operations. May be repeated: operations with any of them match.' },
    example: ['failed'],
  }),
  ...pageQuery('Operations'),
});

export const operationParams = z.object({
  id: z
    .string()
    .min(1)
    .max(128)
    .openapi({ param: { description: 'Id of the operation.' }, example: 'p7d0w4h2n6ry' }),
});
