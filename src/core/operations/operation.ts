/**
 * An operation: anything with side effects, recorded before the first of them. It is about one or more subjects, of
 * which it is the only open operation, and it belongs to the daemon that runs it.
 *
 * Example: `machine.start` of machine m1 has the subject `{kind: 'machine', id: 'm1'}` and the steps clear, launch, ready.
 * Its log says which steps began and which ended, so that a restarted daemon can continue or undo it.
 */

export const operationKinds = [
  'machine.create',
  'machine.clone',
  'machine.start',
  'machine.restore',
  'machine.restart',
  'machine.stop',
  'machine.pause',
  'machine.resume',
  'machine.suspend',
  'machine.revert',
  'machine.delete',
  'environment.create',
  'environment.stop',
  'environment.start',
  'environment.delete',
  'snapshot.create',
  'snapshot.delete',
  'image.import',
  'image.delete',
] as const;
export type OperationKind = (typeof operationKinds)[number];

export const operationStates = ['running', 'undoing', 'succeeded', 'failed', 'cancelled'] as const;
export type OperationState = (typeof operationStates)[number];

/** The states of an operation that has not ended. */
export const openStates: readonly OperationState[] = ['running', 'undoing'];

export const stepPhases = ['started', 'succeeded', 'undoing', 'undone'] as const;
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
  /** The result of `do`, as plain JSON; later steps and recovery read it. */
  readonly output: unknown;
  readonly at: string;
}

export interface OperationFailure {
  readonly code: string;
  readonly message: string;
  /** The step that failed; null when the failure was between steps. */
  readonly step: string | null;
}

/** Why a subject is not in the desired state; shown to users. */
export interface SubjectFailure {
  /** A stable word: `engine_failed`, `guest_unready`, `vmm_died`, `guest_panic`, `disk_full`, … */
  readonly code: string;
  readonly message: string;
  readonly at: string;
  /** The last console lines at that moment, made printable; may be empty. */
  readonly console: readonly string[];
}

export interface Operation {
  readonly id: string;
  /** The tenant of its subjects; kept after they are deleted. */
  readonly tenant: string;
  readonly kind: OperationKind;
  /** At least one. A subject has at most one open operation; a unique index enforces this. */
  readonly subjects: readonly Subject[];
  readonly params: Readonly<Record<string, unknown>>;
  readonly state: OperationState;
  /** One record per step, with its latest phase, in the order in which they started. */
  readonly steps: readonly StepRecord[];
  readonly isCancelRequested: boolean;
  readonly failure: OperationFailure | null;
  readonly owner: Owner;
  /** Number of writes. A write succeeds only if the revision is still the one that was read. */
  readonly revision: number;
  readonly createdAt: string;
  readonly updatedAt: string;
}

/**
 * The daemon that runs an operation. Each daemon started on a host has a higher epoch than the one before.
 */
export interface Owner {
  readonly hostId: string;
  readonly epoch: number;
  /** The boot of the host at the latest write; shows whether volatile effects still exist. */
  readonly bootId: string;
}

/** The id of the first subject of a kind. */
export function subjectId(operation: Pick<Operation, 'id' | 'subjects'>, kind: SubjectKind): string {
  const subject = operation.subjects.find((each) => each.kind === kind);
  if (subject) return subject.id;
  throw new Error(`operation ${operation.id} has no ${kind} among its subjects`);
}

export function isOpen({ state }: Pick<Operation, 'state'>): boolean {
  return openStates.includes(state);
}
