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
import { closedQuery, moment, pageQuery } from '../../schema.ts';

const state = z.enum(operationStates).openapi('OperationState', {
  description:
    '`undoing`: a step failed, or it was cancelled, and what was done is being undone. The last three are final.',
});

const step = z
  .object({
    name: z.string().openapi({ example: 'launch' }),
    phase: z.enum(stepPhases).openapi({ example: 'succeeded' }),
    at: moment.openapi({ description: 'When this phase began.' }),
  })
  .openapi('OperationStep');

const failure = z
  .object({
    code: z.string().openapi({
      description:
        'For programs: `timed_out`, `guest` (it or the link to it), `engine_failed` (the VMM), `exhausted` (no room left), `unavailable`, `unsupported`, `conflict` (it was cancelled), `abandoned` (a restarted daemon could not take it up again) or `internal`. New ones may come.',
      example: 'timed_out',
    }),
    message: z.string().openapi({ example: 'the guest did not answer within 60 s' }),
    step: z
      .string()
      .nullable()
      .openapi({ description: 'The step that failed; null when it was none.', example: 'ready' }),
  })
  .openapi('OperationFailure');

const subject = z
  .object({
    kind: z.enum(subjectKinds).openapi({ example: 'machine' }),
    id: z.string().openapi({ example: 'k3v9x2m1q8zt' }),
  })
  .openapi('OperationSubject');

export const operationBody = z
  .object({
    id: z.string().openapi({ example: 'p7d0w4h2n6ry' }),
    kind: z.enum(operationKinds).openapi({ example: 'machine.start' }),
    subjects: z.array(subject).openapi({ description: 'What it is about; each may be gone by now.' }),
    machine_id: z.string().nullable().openapi({
      description: 'The machine among its subjects; null when there is none.',
      example: 'k3v9x2m1q8zt',
    }),
    state,
    cancel_requested: z
      .boolean()
      .openapi({ description: 'Another request, such as a stop, asked it to end.', example: false }),
    steps: z
      .array(step)
      .openapi({ description: 'Those that began, in that order, each with its latest phase.' }),
    failure: failure
      .nullable()
      .openapi({ description: 'Why it failed or was cancelled; null while nothing went wrong.' }),
    created_at: moment,
    updated_at: moment,
  })
  .openapi('Operation');
export type OperationBody = z.infer<typeof operationBody>;

export const operationList = z
  .object({
    operations: z.array(operationBody),
    total: z.int().openapi({ description: 'Operations that match, on all pages.', example: 1 }),
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
        description: 'One machine’s: by its id, also when it is gone, or by its name while it is there.',
      },
    }),
  state: state.optional(),
  ...pageQuery('Operations'),
});

export const operationParams = z.object({
  id: z
    .string()
    .min(1)
    .max(128)
    .openapi({ param: { description: 'Id.' }, example: 'p7d0w4h2n6ry' }),
});
