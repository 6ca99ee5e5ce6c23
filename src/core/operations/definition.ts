/**
 * How a kind of operation is carried out: its steps, and how it changes its subject when it begins and when it ends.
 * Written by the room of the subject (machines, images, …), read by the runner, which knows no subject by name.
 */
import type { Limiter } from '../../lib/limiter.ts';
import { AppError } from '../errors.ts';
import type { Repositories } from '../ports/store.ts';
import type { Operation, OperationKind } from './operation.ts';

export interface StepContext<S> {
  /** The subject as it was read right before the step. */
  readonly subject: S;
  readonly operation: Operation;
  /** Aborts when the operation is cancelled, the step's deadline passes, or the daemon shuts down. */
  readonly signal: AbortSignal;
}

export interface StepResult {
  /** Kept in the log. */
  readonly output?: unknown;
  /** Written to the subject in the transaction that logs the step. */
  readonly details?: unknown;
}

/** One effect. `do` and `undo` look first, then act: running either twice is the same as once. */
export interface Step<S> {
  readonly name: string;
  /** Undo this step even if it never ran. Needed for what was given up when the operation was created. */
  readonly isOwedFromBegin?: boolean;
  /** Its effect does not survive a reboot of the host, so the step is run again. */
  readonly isVolatile?: boolean;
  /** Deadline of `do`, in milliseconds. */
  readonly timeoutMs: number;
  // biome-ignore lint/suspicious/noConfusingVoidType: a step without a result is the common case.
  do(context: StepContext<S>): Promise<StepResult | void>;
  undo?(context: StepContext<S>): Promise<void>;
}

/** Why an operation is undone: `failure` is null when it was cancelled. */
export interface Undone {
  readonly isCancelled: boolean;
  readonly failure: SubjectFailure | null;
}

/** Why a subject is not what was wanted; shown to people. */
export interface SubjectFailure {
  /** A stable word: `engine_failed`, `guest_unready`, `vmm_died`, `guest_panic`, `disk_full`, … */
  readonly code: string;
  readonly message: string;
  readonly at: string;
  /** The console's last lines at that moment, made printable; empty when there were none. */
  readonly console: readonly string[];
}

/**
 * What the runner needs of a subject. All but `read` are called inside the transaction that writes the operation, so the
 * subject and its operation never disagree.
 */
export interface SubjectPort<S> {
  /** Null when the subject is gone or belongs to another operation. */
  read(repositories: Repositories, operation: Operation): Promise<S | null>;
  /** Writes the `details` of a step's result. */
  keep(tx: Repositories, operation: Operation, details: unknown, at: Date): Promise<void>;
  /** All steps are done. Returns the subject as it is now. */
  succeed(tx: Repositories, operation: Operation, at: Date): Promise<S>;
  /** The steps were undone. Does nothing when the subject is gone or belongs to another operation. */
  fail(tx: Repositories, operation: Operation, undone: Undone, at: Date): Promise<void>;
}

export interface OperationDefinition<S> {
  readonly kind: OperationKind;
  readonly steps: readonly Step<S>[];
  readonly subject: SubjectPort<S>;
  /**
   * Builds the failure that the subject shows from an error. May read the console for the guest's last words. Without it
   * the failure is the error's code and message.
   */
  describeFailure?(subject: S, error: AppError, at: Date): Promise<SubjectFailure>;
  /** Bounds how many operations of this kind run at once. */
  readonly limiter?: Limiter;
}

/** By kind; `unknown` because each kind has a subject type of its own. */
export type OperationDefinitions = Readonly<Partial<Record<OperationKind, OperationDefinition<unknown>>>>;

/** Why a running step was aborted: another request asked for the opposite. */
export class OperationCancelled extends AppError {
  constructor(kind: OperationKind) {
    super('conflict', `${kind} was cancelled`, { hint: 'Another request asked for the opposite.' });
  }
}
