/**
 * What to do with an operation that a crash left open. Pure: the log, the definition and the machine decide. Whatever is
 * decided is then done by the same runner and the same steps as ever.
 */
import type { Machine } from '../machines/machine.ts';
import type { Operation } from './operation.ts';
import type { OperationDefinition } from './runner.ts';

export type RecoveryPlan =
  /** The step was under way: it is run again, and the rest after it. */
  | { readonly action: 'redo'; readonly step: string }
  /** Between two steps: the next one is run. `step` is null when all were done and only the end was not written. */
  | { readonly action: 'continue'; readonly step: string | null }
  | { readonly action: 'undo'; readonly reason: string }
  /** Neither can be done; the operation is closed as failed, and the reconciler clears up. */
  | { readonly action: 'give_up'; readonly reason: string };

export function planRecovery(
  operation: Operation,
  definition: OperationDefinition,
  machine: Machine | null,
  hasHostRebooted: boolean,
): RecoveryPlan {
  if (!machine) return { action: 'give_up', reason: 'its machine is gone' };
  if (machine.operationId !== operation.id) {
    return { action: 'give_up', reason: 'its machine belongs to another operation' };
  }
  const names = definition.steps.map(({ name }) => name);
  const unknown = operation.steps.find(({ name }) => !names.includes(name));
  if (unknown) return { action: 'give_up', reason: `this version knows no step '${unknown.name}'` };
  if (operation.state === 'undoing') return { action: 'undo', reason: 'it was being undone' };
  if (operation.isCancelRequested) return { action: 'undo', reason: 'it was cancelled' };
  const lost = hasHostRebooted
    ? definition.steps.find((step) => step.isVolatile && hasBegun(operation, step.name))
    : null;
  if (lost) return { action: 'redo', step: lost.name };
  const underway = operation.steps.find(({ phase }) => phase !== 'succeeded');
  if (underway) return { action: 'redo', step: underway.name };
  return { action: 'continue', step: names[operation.steps.length] ?? null };
}

function hasBegun(operation: Operation, step: string): boolean {
  return operation.steps.some(({ name }) => name === step);
}

/** The operation as if this step and what came after it had not been done. */
export function redoFrom(operation: Operation, step: string): Operation {
  const index = operation.steps.findIndex(({ name }) => name === step);
  return index < 0 ? operation : { ...operation, steps: operation.steps.slice(0, index) };
}
