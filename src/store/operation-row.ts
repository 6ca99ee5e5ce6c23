/** Converts an operation to a row and back, validating in both directions. */
import { z } from 'zod';
import {
  type Operation,
  type OperationFailure,
  type Owner,
  operationKinds,
  operationStates,
  type StepRecord,
  type Subject,
  stepPhases,
  subjectKinds,
} from '../core/operations/operation.ts';
import {
  decodeBoolean,
  decodeJson,
  decodeNullableJson,
  encodeBoolean,
  encodeJson,
  encodeNullableJson,
  encodeTime,
  type OperationTable,
} from './schema.ts';
import { validate } from './validate.ts';

const step: z.ZodType<StepRecord> = z.strictObject({
  name: z.string(),
  // Earlier versions also knew steps that had failed: such a step has begun, and is owed its undo.
  phase: z.enum([...stepPhases, 'failed']).transform((phase) => (phase === 'failed' ? 'started' : phase)),
  output: z.unknown(),
  at: z.string(),
});

const failure: z.ZodType<OperationFailure> = z.strictObject({
  code: z.string(),
  message: z.string(),
  step: z.string().nullable(),
});

const subject: z.ZodType<Subject> = z.strictObject({ kind: z.enum(subjectKinds), id: z.string().min(1) });

const owner: z.ZodType<Owner> = z.strictObject({
  hostId: z.string(),
  epoch: z.number(),
  bootId: z.string(),
});

const operation: z.ZodType<Operation> = z.strictObject({
  id: z.string().min(1),
  tenant: z.string(),
  kind: z.enum(operationKinds),
  subjects: z.array(subject).min(1),
  params: z.record(z.string(), z.unknown()),
  state: z.enum(operationStates),
  steps: z.array(step),
  isCancelRequested: z.boolean(),
  failure: failure.nullable(),
  owner,
  revision: z.number(),
  createdAt: z.string(),
  updatedAt: z.string(),
});

/** Raises InvariantError when the operation is malformed. */
export function encodeOperation(value: Operation): OperationTable {
  const checked = check(value);
  return {
    id: checked.id,
    tenant: checked.tenant,
    kind: checked.kind,
    subjects: encodeJson(checked.subjects),
    params: encodeJson(checked.params),
    host_id: checked.owner.hostId,
    is_cancel_requested: encodeBoolean(checked.isCancelRequested),
    created_at: encodeTime(checked.createdAt),
    ...encodeProgressOf(checked),
  };
}

/** The columns that change while an operation runs, except the cancel flag, which is written separately. */
export function encodeProgress(value: Operation): ReturnType<typeof encodeProgressOf> {
  return encodeProgressOf(check(value));
}

function encodeProgressOf(value: Operation) {
  return {
    state: value.state,
    epoch: value.owner.epoch,
    boot_id: value.owner.bootId,
    revision: value.revision,
    // `undefined` has no JSON form; a step without output stores null.
    steps: encodeJson(value.steps.map((record) => ({ ...record, output: record.output ?? null }))),
    failure: encodeNullableJson(value.failure),
    updated_at: encodeTime(value.updatedAt),
  } satisfies Partial<OperationTable>;
}

/** Raises InvariantError when this program could not have written the row. */
export function decodeOperation(row: OperationTable): Operation {
  return check({
    id: row.id,
    tenant: row.tenant,
    kind: row.kind,
    subjects: decodeJson(row.subjects, 'operations.subjects'),
    params: decodeJson(row.params, 'operations.params'),
    state: row.state,
    steps: decodeJson(row.steps, 'operations.steps'),
    isCancelRequested: decodeBoolean(row.is_cancel_requested),
    failure: decodeNullableJson(row.failure, 'operations.failure'),
    owner: { hostId: row.host_id, epoch: row.epoch, bootId: row.boot_id },
    revision: row.revision,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  });
}

/** `value` may contain anything under the fields' names. */
function check(value: Readonly<Record<keyof Operation, unknown>>): Operation {
  return validate(operation, value, `operation ${String(value.id)}`);
}
