/**
 * Decides what an operation does next. Pure: depends on the operation as logged, what has just happened, and
 * the names of the steps. The runner asks after every step and after a crash, so recovery takes the same path
 * as normal execution.
 *
 *   next(start with no steps, taken_up)            → log `clear started`,                      move: do clear
 *   next(start, step_succeeded)                    → log `clear succeeded`, `launch started`,  move: do launch
 *   next(start, failed)                            → state undoing, log `launch undoing`,      move: undo launch
 *   next(start, step_undone), nothing left to undo → log `clear undone`,                       move: close as failed
 *
 * An operation always ends: it completes all steps, or undoes every step that started, newest first.
 */
import { invariant } from '../../lib/invariant.ts';
import type { Operation, OperationFailure, StepPhase, StepRecord } from './operation.ts';

/** The properties of a `Step` that `next` needs. */
export interface StepShape {
  readonly name: string;
  readonly isOwedFromBegin?: boolean;
  readonly isVolatile?: boolean;
}

export type OperationEvent =
  /**
   * A runner starts it, or takes it up after a crash. `hasHostRebooted`: since the operation's latest write.
   */
  | { readonly type: 'taken_up'; readonly hasHostRebooted: boolean }
  /** The current step has succeeded. */
  | { readonly type: 'step_succeeded'; readonly output: unknown }
  /** The current step, or something between two steps, has failed. */
  | { readonly type: 'failed'; readonly failure: Omit<OperationFailure, 'step'> }
  | { readonly type: 'cancelled' }
  /** The current undo has ended, successfully or not: the operation must end in either case. */
  | { readonly type: 'step_undone' };

export type Move =
  | { readonly kind: 'do'; readonly step: string }
  | { readonly kind: 'undo'; readonly step: string }
  | { readonly kind: 'succeed' }
  /** `wasAbandoned`: nothing was undone, because this version does not know a step that ran. */
  | { readonly kind: 'close'; readonly as: 'failed' | 'cancelled'; readonly wasAbandoned: boolean };

export interface Next {
  /** Must be written before the move is made; its revision is one higher. */
  readonly operation: Operation;
  readonly move: Move;
}

/** Throws InvariantError for an operation that has ended, or an event that cannot happen in its state. */
export function next(
  before: Operation,
  event: OperationEvent,
  steps: readonly StepShape[],
  at: string,
): Next {
  invariant(before.state === 'running' || before.state === 'undoing', `operation ${before.id} has ended`);
  const operation = { ...before, revision: before.revision + 1, updatedAt: at };
  switch (event.type) {
    case 'taken_up':
      return takeUp(operation, steps, event.hasHostRebooted, at);
    case 'step_succeeded': {
      const step = underWay(operation, 'started');
      invariant(step !== null, `operation ${operation.id}: no step is under way`);
      return forwards(log(operation, step, 'succeeded', at, event.output), steps, at);
    }
    case 'failed':
      return backwards(fail(operation, event.failure), steps, at);
    case 'cancelled':
      return backwards(fail({ ...operation, isCancelRequested: true }, cancelled(operation)), steps, at);
    case 'step_undone': {
      const step = underWay(operation, 'undoing');
      invariant(step !== null, `operation ${operation.id}: nothing is being undone`);
      return backwards(log(operation, step, 'undone', at), steps, at);
    }
  }
}

function takeUp(
  operation: Operation,
  steps: readonly StepShape[],
  hasHostRebooted: boolean,
  at: string,
): Next {
  const unknown = operation.steps.find(({ name }) => !steps.some((step) => step.name === name));
  if (unknown) {
    const message = `this version knows no step '${unknown.name}' of ${operation.kind}; nothing was undone`;
    return close(fail(operation, { code: 'abandoned', message }), true, at);
  }
  if (operation.state === 'undoing') return backwards(operation, steps, at);
  if (operation.isCancelRequested) return backwards(fail(operation, cancelled(operation)), steps, at);
  return forwards(hasHostRebooted ? withoutLost(operation, steps) : operation, steps, at);
}

/** The operation as if neither the first step lost to the reboot nor any later step had run. */
function withoutLost(operation: Operation, steps: readonly StepShape[]): Operation {
  const isLost = ({ name }: StepRecord) => steps.some((step) => step.name === name && step.isVolatile);
  const index = operation.steps.findIndex(isLost);
  return index < 0 ? operation : { ...operation, steps: operation.steps.slice(0, index) };
}

function forwards(operation: Operation, steps: readonly StepShape[], at: string): Next {
  const step = steps.find(({ name }) => phaseOf(operation, name) !== 'succeeded');
  if (!step) return { operation: { ...operation, state: 'succeeded' }, move: { kind: 'succeed' } };
  return { operation: log(operation, step.name, 'started', at), move: { kind: 'do', step: step.name } };
}

function backwards(operation: Operation, steps: readonly StepShape[], at: string): Next {
  const owed = steps.findLast(({ name, isOwedFromBegin }) => {
    const phase = phaseOf(operation, name);
    return phase === null ? isOwedFromBegin === true : phase !== 'undone';
  });
  if (!owed) return close(operation, false, at);
  return { operation: log(operation, owed.name, 'undoing', at), move: { kind: 'undo', step: owed.name } };
}

function close(operation: Operation, wasAbandoned: boolean, at: string): Next {
  const as = operation.isCancelRequested && !wasAbandoned ? 'cancelled' : 'failed';
  return { operation: { ...operation, state: as, updatedAt: at }, move: { kind: 'close', as, wasAbandoned } };
}

/** Keeps the first failure: later ones are consequences of it. */
function fail(operation: Operation, failure: Omit<OperationFailure, 'step'>): Operation {
  if (operation.state === 'undoing') return operation;
  return {
    ...operation,
    state: 'undoing',
    failure: { ...failure, step: underWay(operation, 'started') },
  };
}

function cancelled({ kind }: Operation): Omit<OperationFailure, 'step'> {
  return { code: 'conflict', message: `${kind} was cancelled` };
}

function underWay(operation: Operation, phase: StepPhase): string | null {
  return operation.steps.find((record) => record.phase === phase)?.name ?? null;
}

function phaseOf(operation: Operation, step: string): StepPhase | null {
  return operation.steps.find(({ name }) => name === step)?.phase ?? null;
}

function log(
  operation: Operation,
  name: string,
  phase: StepPhase,
  at: string,
  output: unknown = null,
): Operation {
  const previous = operation.steps.find((record) => record.name === name);
  const record: StepRecord = { name, phase, output: output ?? previous?.output ?? null, at };
  const steps = previous
    ? operation.steps.map((each) => (each === previous ? record : each))
    : [...operation.steps, record];
  return { ...operation, steps };
}
