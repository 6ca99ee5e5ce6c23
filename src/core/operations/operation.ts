/**
 * An operation: anything with side effects, written down before the first of them.
 * Its steps are known by name; the log says which began and which ended, so that a restarted daemon can go on or undo.
 */

export const operationKinds = [
  'machine.create',
  'machine.start',
  'machine.restart',
  'machine.stop',
  'machine.pause',
  'machine.resume',
  'machine.delete',
] as const;
export type OperationKind = (typeof operationKinds)[number];

export const operationStates = ['running', 'undoing', 'succeeded', 'failed', 'cancelled'] as const;
export type OperationState = (typeof operationStates)[number];

export const stepPhases = ['started', 'succeeded', 'failed', 'undoing', 'undone'] as const;
export type StepPhase = (typeof stepPhases)[number];

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
  /** Whose it is: its machine's tenant, also when the machine is gone. */
  readonly tenant: string;
  readonly kind: OperationKind;
  readonly machineId: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly state: OperationState;
  /** One record a step, its latest phase, in the order they began. */
  readonly steps: readonly StepRecord[];
  readonly isCancelRequested: boolean;
  readonly failure: OperationFailure | null;
  readonly createdAt: string;
  readonly updatedAt: string;
}
