/**
 * Executes a plan: its steps one after another, each a call of a tool with the caller's own rights and a time
 * limit. After a failure the steps before it are taken back, newest first, if the plan says so. A step whose time
 * ran out may still be done by its operation, so rolling back waits for that and takes it back too.
 */
import { type AppError, isAppError } from '../../core/errors.ts';
import { abortable, isTimeout } from '../../lib/abort.ts';
import { shortId } from '../../lib/ids.ts';
import { shapeOf } from '../dialects/hypermachine/errors.ts';
import { toAppError } from '../errors.ts';
import { errorFor } from '../host-paths.ts';
import { checkPlan, stepTimeoutMs } from './plan-check.ts';
import type { Executed, Execution, PlanStep, StepResult, Validation } from './plan-schema.ts';
import { resolveReferences } from './references.ts';
import { callTool, findTool, type Tool, type ToolArguments, type ToolCall, type ToolDeps } from './tool.ts';

const planSecondsDefault = 600;
/** For taking back one step; longer than any operation of a machine. */
const undoTimeoutMs = 180_000;

interface Ran {
  readonly step: PlanStep;
  readonly args: ToolArguments;
  /** Settles when what the step began has ended, whatever its time limit. */
  readonly ended: Promise<object>;
  result: StepResult;
}

export class PlanRunner {
  readonly #tools: readonly Tool[];
  readonly #deps: ToolDeps;
  readonly #deadline: (ms: number) => AbortSignal;

  /** `deadline` aborts after that time with a TimeoutError; replaced by tests. */
  constructor(tools: readonly Tool[], deps: ToolDeps, deadline = (ms: number) => AbortSignal.timeout(ms)) {
    this.#tools = tools;
    this.#deps = deps;
    this.#deadline = deadline;
  }

  validate(plan: Execution['plan'], call: Pick<ToolCall, 'caller'>): Validation {
    return checkPlan(plan, this.#tools, call.caller, null).validation;
  }

  async execute({ plan, dry_run, timeout_seconds, variables }: Execution, call: ToolCall): Promise<Executed> {
    const begunMs = performance.now();
    const { order, validation } = checkPlan(plan, this.#tools, call.caller, Object.keys(variables));
    const isRun = validation.valid && !dry_run;
    const limitMs = (timeout_seconds ?? planSecondsDefault) * 1000;
    const limited = { ...call, signal: AbortSignal.any([call.signal, this.#deadline(limitMs)]) };
    const ran = isRun ? await this.#runAll(order, variables, limited) : [];
    const hasFailed = ran.some(({ result }) => !result.success);
    if (hasFailed && plan.rollback_on_failure) await this.#takeBack(ran, call);
    const results = ran.map(({ result }) => result);
    const rolledBack = results.filter(({ rolled_back }) => rolled_back).map(({ step_id }) => step_id);
    const failure = rolledBack.length > 0 ? 'rolled_back' : 'failed';
    return {
      execution_id: shortId(),
      plan_name: plan.name,
      status: !validation.valid ? 'validation_failed' : hasFailed ? failure : 'completed',
      dry_run,
      step_results: results,
      duration_ms: Math.round(performance.now() - begunMs),
      rolled_back_steps: rolledBack.toReversed(),
      validation,
    };
  }

  async #runAll(
    order: readonly PlanStep[],
    variables: Execution['variables'],
    call: ToolCall,
  ): Promise<readonly Ran[]> {
    const ran: Ran[] = [];
    for (const step of order) {
      const last = await this.#run(step, variables, ran, call);
      ran.push(last);
      if (!last.result.success) break;
    }
    return ran;
  }

  async #run(
    step: PlanStep,
    variables: Execution['variables'],
    before: readonly Ran[],
    call: ToolCall,
  ): Promise<Ran> {
    const begunMs = performance.now();
    const result = { step_id: step.step_id, operation_id: step.operation_id, rolled_back: false };
    const since = () => Math.round(performance.now() - begunMs);
    const outputOf = (id: string) => before.find((each) => each.step.step_id === id)?.result.output;
    const signal = AbortSignal.any([call.signal, this.#deadline(stepTimeoutMs(step))]);
    let args: ToolArguments = {};
    let ended: Promise<object> = Promise.reject(new Error('not begun'));
    ended.catch(() => undefined);
    try {
      args = resolveReferences(step.parameters, ({ step: id, field }) =>
        id === null ? variables[field] : outputOf(id)?.[field],
      ) as ToolArguments;
      ended = callTool(
        this.#tools,
        this.#deps,
        { tool: step.operation_id, arguments: args },
        { ...call, signal },
      );
      ended.catch(() => undefined);
      const output = { ...(await abortable(ended, signal)) };
      // A script that fails is a result, and a failed step.
      const isSuccess = !('success' in output) || output.success === true;
      const error = isSuccess ? null : String('error' in output ? output.error : 'it did not succeed');
      return {
        step,
        args,
        ended,
        result: { ...result, success: isSuccess, duration_ms: since(), output, error },
      };
    } catch (thrown) {
      const error = call.signal.aborted
        ? 'the plan’s time limit passed, or its caller left'
        : textOf(thrown, step);
      return {
        step,
        args,
        ended,
        result: { ...result, success: false, duration_ms: since(), output: null, error },
      };
    }
  }

  async #takeBack(ran: readonly Ran[], call: ToolCall): Promise<void> {
    for (const each of ran.toReversed()) {
      const signal = this.#deadline(undoTimeoutMs);
      try {
        const output = await abortable(each.ended, signal).catch(() => null);
        const tool = findTool(this.#tools, each.step.operation_id);
        const order = output === null ? null : (tool?.undo(each.args, output) ?? null);
        if (order === null) continue;
        await abortable(callTool(this.#tools, this.#deps, order, { ...call, signal }), signal);
        each.result = { ...each.result, rolled_back: true };
      } catch (thrown) {
        const error = `${each.result.error === null ? '' : `${each.result.error}; `}not rolled back: ${messageOf(thrown)}`;
        each.result = { ...each.result, error };
      }
    }
  }
}

function textOf(thrown: unknown, step: PlanStep): string {
  return isTimeout(thrown) ? `not done within ${stepTimeoutMs(step) / 1000} s` : messageOf(thrown);
}

function messageOf(thrown: unknown): string {
  const error: AppError = isAppError(thrown) ? thrown : toAppError(thrown);
  return shapeOf(errorFor(error, false)).message;
}
