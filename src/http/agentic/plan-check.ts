/** Whether a plan can run, and in which order. Pure. */
import type { Caller } from '../../core/keys/caller.ts';
import { describeIssue } from '../issues.ts';
import { unknownName } from '../schema.ts';
import type { Plan, PlanError, PlanStep, Validation } from './plan-schema.ts';
import { referencesIn } from './references.ts';
import { findTool, type Tool } from './tool.ts';

const stepSecondsDefault = 120;

export interface CheckedPlan {
  readonly validation: Validation;
  /** Each step after all that it depends on; without those in a cycle or behind one. */
  readonly order: readonly PlanStep[];
}

export function stepTimeoutMs({ timeout_seconds: seconds }: PlanStep): number {
  return (seconds ?? stepSecondsDefault) * 1000;
}

/** `variables`: the names that the plan is executed with; null when they are not known yet. */
export function checkPlan(
  plan: Plan,
  tools: readonly Tool[],
  caller: Pick<Caller, 'scopes'>,
  variables: readonly string[] | null,
): CheckedPlan {
  const order = sortSteps(plan.steps);
  const errors = [
    ...duplicates(plan.steps),
    ...plan.steps.flatMap((step) => checkDependencies(step, plan.steps)),
    ...plan.steps.filter((step) => dependenciesOf(step, plan.steps).has(step.step_id)).map(inCycle),
    ...plan.steps.flatMap((step) => checkOperation(step, plan.steps, tools, caller, variables)),
  ];
  return {
    order,
    validation: {
      valid: errors.length === 0,
      errors,
      warnings: warningsOf(plan, tools),
      estimated_duration_ms: plan.steps.reduce((sum, step) => sum + stepTimeoutMs(step), 0),
      resolved_steps: order.map((step) => ({
        step_id: step.step_id,
        operation_id: step.operation_id,
        preconditions_met: !errors.some(({ step_id }) => step_id === step.step_id),
        expected_postconditions: [...(findTool(tools, step.operation_id)?.postconditions ?? [])],
      })),
    },
  };
}

/** In the given order as far as the dependencies allow. */
function sortSteps(steps: readonly PlanStep[]): readonly PlanStep[] {
  const sorted: PlanStep[] = [];
  const done = new Set<string>();
  const known = new Set(steps.map(({ step_id }) => step_id));
  let left = [...steps];
  for (;;) {
    const next = left.find(({ depends_on }) => depends_on.every((id) => done.has(id) || !known.has(id)));
    if (next === undefined) return sorted;
    sorted.push(next);
    done.add(next.step_id);
    left = left.filter((step) => step !== next);
  }
}

/** The steps that a step depends on, directly or through others. */
function dependenciesOf(step: PlanStep, steps: readonly PlanStep[]): ReadonlySet<string> {
  const seen = new Set<string>();
  const open = [...step.depends_on];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (seen.has(id)) continue;
    seen.add(id);
    open.push(...steps.filter(({ step_id }) => step_id === id).flatMap(({ depends_on }) => depends_on));
  }
  return seen;
}

function inCycle({ step_id }: PlanStep): PlanError {
  const message = `step '${step_id}' depends on itself through its dependencies`;
  return { step_id, error_type: 'circular_dependency', message };
}

function duplicates(steps: readonly PlanStep[]): readonly PlanError[] {
  const ids = steps.map(({ step_id }) => step_id);
  return [...new Set(ids.filter((id, index) => ids.indexOf(id) !== index))].map((step_id) => ({
    step_id,
    error_type: 'duplicate_step_id',
    message: `more than one step is called '${step_id}'`,
  }));
}

function checkDependencies(
  { step_id, depends_on }: PlanStep,
  steps: readonly PlanStep[],
): readonly PlanError[] {
  return depends_on
    .filter((id) => !steps.some((step) => step.step_id === id))
    .map((id) => ({
      step_id,
      error_type: 'invalid_dependency',
      message: `step '${step_id}' depends on '${id}', which is no step`,
    }));
}

function checkOperation(
  step: PlanStep,
  steps: readonly PlanStep[],
  tools: readonly Tool[],
  caller: Pick<Caller, 'scopes'>,
  variables: readonly string[] | null,
): readonly PlanError[] {
  const { step_id, operation_id } = step;
  const tool = findTool(tools, operation_id);
  const names = tools.map(({ name }) => name);
  if (tool === null)
    return [
      { step_id, error_type: 'unknown_operation', message: unknownName('operation', operation_id, names) },
    ];
  const errors: PlanError[] = [];
  if (!caller.scopes.some((scope) => scope === '*' || scope === tool.scope)) {
    const message = `${operation_id} needs a key with the scope ${tool.scope}`;
    errors.push({ step_id, error_type: 'insufficient_permissions', message });
  }
  const message = wrongReference(step, steps, variables) ?? wrongParameters(step, tool);
  if (message !== null) errors.push({ step_id, error_type: 'invalid_parameters', message });
  return errors;
}

function wrongReference(
  step: PlanStep,
  steps: readonly PlanStep[],
  variables: readonly string[] | null,
): string | null {
  const earlier = dependenciesOf(step, steps);
  for (const reference of referencesIn(step.parameters)) {
    if (reference.step === null) {
      if (variables !== null && !variables.includes(reference.field))
        return `{{${reference.field}}}: there is no variable of this name`;
    } else if (!earlier.has(reference.step)) {
      return `{{${reference.step}.${reference.field}}}: step '${step.step_id}' must depend on '${reference.step}'`;
    }
  }
  return null;
}

/** Parameters with references are only complete when the step runs, which checks them. */
function wrongParameters({ parameters }: PlanStep, { input }: Tool): string | null {
  if (referencesIn(parameters).length > 0) return null;
  const parsed = input.safeParse(parameters);
  return parsed.success ? null : describeIssue(parsed.error, parameters);
}

function warningsOf({ rollback_on_failure, steps }: Plan, tools: readonly Tool[]): string[] {
  if (!rollback_on_failure) return [];
  return steps.flatMap(({ step_id, operation_id }) => {
    const tool = findTool(tools, operation_id);
    if (tool === null || tool.isReadOnly || tool.canUndo) return [];
    return [`step '${step_id}': ${operation_id} cannot be rolled back`];
  });
}
