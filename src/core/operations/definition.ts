/**
 * How a kind of operation is carried out: its steps, and how it changes its subject at the beginning and end.
 * Each subject's room (machines, images, …) defines its operations; the runner executes them without knowing
 * any subject.
 */
import type { Limiter } from '../../lib/limiter.ts';
import { AppError } from '../errors.ts';
import type { Repositories } from '../ports/store.ts';
import type { Operation, OperationKind, SubjectFailure } from './operation.ts';

export interface StepContext<S> {
  /** The subject, read immediately before the step. */
  readonly subject: S;
  readonly operation: Operation;
  /** Aborts when the operation is cancelled, the step's deadline passes, or the daemon shuts down. */
  readonly signal: AbortSignal;
}

export interface StepResult {
  /** Stored in the operation's log. */
  readonly output?: unknown;
  /** Written to the subject in the transaction that logs the step. */
  readonly details?: unknown;
}

/** One effect. `do` and `undo` check before they act, so that repeating them is harmless. */
export interface Step<S> {
  readonly name: string;
  /**
   * Undo this step even if it never ran. Needed for resources that are reserved when the operation is
   * created.
   */
  readonly isOwedFromBegin?: boolean;
  /** A reboot of the host loses the effect, so the step is run again. */
  readonly isVolatile?: boolean;
  /** Deadline of `do`, in milliseconds. */
  readonly timeoutMs: number;
  // biome-ignore lint/suspicious/noConfusingVoidType: a step without a result is the common case.
  do(context: StepContext<S>): Promise<StepResult | void>;
  undo?(context: StepContext<S>): Promise<void>;
}

/**
 * What the runner needs from a subject. All methods but `read` are called inside the transaction that writes
 * the operation, so subject and operation never disagree.
 */
export interface SubjectPort<S> {
  /** Null when the subject is gone or belongs to another operation. */
  read(repositories: Repositories, operation: Operation): Promise<S | null>;
  /** Stores the `details` of a step's result. */
  keep(tx: Repositories, operation: Operation, details: unknown, at: Date): Promise<void>;
  /** Called when all steps are done. Returns the updated subject. */
  succeed(tx: Repositories, operation: Operation, at: Date): Promise<S>;
  /**
   * Called when the steps are undone; `failure` is null when the operation was cancelled. Does nothing when the subject is gone or belongs to another operation.
   */
  fail(tx: Repositories, operation: Operation, failure: SubjectFailure | null, at: Date): Promise<void>;
}

export interface OperationDefinition<S> {
  readonly kind: OperationKind;
  readonly steps: readonly Step<S>[];
  readonly subject: SubjectPort<S>;
  /**
   * Builds the failure that the subject shows from an error. May read the console for the guest's last words.
   * Default: the error's code and message.
   */
  describeFailure?(subject: S, error: AppError, at: Date): Promise<SubjectFailure>;
  /** Limits how many operations of this kind run concurrently. */
  readonly limiter?: Limiter;
}

/** By kind; `unknown` because each kind has its own subject type. */
export type OperationDefinitions = Readonly<Partial<Record<OperationKind, OperationDefinition<unknown>>>>;

/** Why a running step was aborted: another request asked for the opposite. */
export class OperationCancelled extends AppError {
  constructor(kind: OperationKind) {
    super('conflict', `${kind} was cancelled`, {
      hint: 'Another request, such as a stop, cancelled it; repeat it if that was not meant.',
    });
  }
}
