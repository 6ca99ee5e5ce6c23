/**
 * An operation: anything with side effects, recorded before the first of them. It is about one or more subjects, of
 * which it is the only open operation, and it belongs to the daemon that runs it.
 *
 * Example: `machine.start` of machine m1 has the subject `{kind: 'machine', id: 'm1'}` and the steps clear, launch, ready.
 * Its log says which steps began and which ended, so that a restarted daemon can continue or undo it.
 */

export const operationKinds = [
  'machine.create',
  'machine.start',
  'machine.restart',
  'machine.stop',
  'machine.pause',
  'machine.resume',
  'machine.delete',
  'image.import',
  'image.delete',
] as const;
export type OperationKind = (typeof operationKinds)[number];

export const operationStates = ['running', 'undoing', 'succeeded', 'failed', 'cancelled'] as const;
export type OperationState = (typeof operationStates)[number];

/** The states of an operation that has not ended. */
export const openStates: readonly OperationState[] = ['running', 'undoing'];

export const stepPhases = ['started', 'succeeded', 'failed', 'undoing', 'undone'] as const;
export type StepPhase = (typeof stepPhases)[number];

export const subjectKinds = ['machine', 'image', 'snapshot', 'environment', 'host'] as const;
export type SubjectKind = (typeof subjectKinds)[number];

export interface Subject {
  readonly kind: SubjectKind;
  readonly id: string;
}

export interface StepRecord {
  readonly name: string;
  readonly phase: StepPhase;
  /** What `do` returned, plain JSON; later steps and a recovery read it. */
  readonly output: unknown;
  readonly at: string;
}

export interface OperationFailure {
  readonly code: string;
  readonly message: string;
  /** The step that failed; null when it was not a step. */
  readonly step: string | null;
}

export interface Operation {
  readonly id: string;
  /** The tenant of its subjects; kept when they are gone. */
  readonly tenant: string;
  readonly kind: OperationKind;
  /** At least one. A subject has at most one open operation: a unique index enforces it. */
  readonly subjects: readonly Subject[];
  readonly params: Readonly<Record<string, unknown>>;
  readonly state: OperationState;
  /** One record a step, its latest phase, in the order they began. */
  readonly steps: readonly StepRecord[];
  readonly isCancelRequested: boolean;
  readonly failure: OperationFailure | null;
  readonly owner: Owner;
  /** Counts the writes. A write succeeds only on the revision it was made from. */
  readonly revision: number;
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** The daemon that runs an operation. A daemon that starts on the same host has a higher epoch. */
export interface Owner {
  readonly hostId: string;
  readonly epoch: number;
  /** The boot of the host during which the latest write was made; tells whether volatile effects are still there. */
  readonly bootId: string;
}

/** The id of the only or first subject of a kind. */
export function subjectId(operation: Pick<Operation, 'id' | 'subjects'>, kind: SubjectKind): string {
  const subject = operation.subjects.find((each) => each.kind === kind);
  if (subject) return subject.id;
  throw new Error(`operation ${operation.id} has no ${kind} among its subjects`);
}

export function isOpen({ state }: Pick<Operation, 'state'>): boolean {
  return openStates.includes(state);
}
