/**
 * Runs operations. The rule: the intent is a row before the first effect, each step is written down before and after,
 * and an operation always ends: forwards in its success state, or backwards through the undo of every step that began.
 *
 *   begin ─ one transaction: machine → transit, operation row
 *   step  ─ log `started` → do → log `succeeded` with its output
 *   fail  ─ operation `undoing` → undo of each begun step, newest first → log `undone`
 *   end   ─ one transaction: machine → stable state, operation closed
 *
 * An operation found open after a crash is run through the same code: steps logged `succeeded` are not run again, the
 * one that was under way is (`recover.ts` decides).
 */
import { deadline } from '../../lib/abort.ts';
import { shortId } from '../../lib/ids.ts';
import type { Limiter } from '../../lib/limiter.ts';
import type { Logger } from '../../lib/log.ts';
import { AppError, wrapError } from '../errors.ts';
import type { Machine, MachineFailure } from '../machines/machine.ts';
import type { MachineState, TransitState } from '../machines/states.ts';
import { transition } from '../machines/transition.ts';
import type { Clock } from '../ports/clock.ts';
import type { MachineDetails, MachinePatch, Repositories, Store } from '../ports/store.ts';
import type { Operation, OperationKind, StepPhase, StepRecord } from './operation.ts';

export interface StepContext {
  readonly machine: Machine;
  readonly operation: Operation;
  /** Aborts when the operation is cancelled, the step's deadline passes, or the daemon shuts down. */
  readonly signal: AbortSignal;
}

export interface StepResult {
  /** Kept in the log. */
  readonly output?: unknown;
  /** Written to the machine together with the log, so that neither is there without the other. */
  readonly details?: MachineDetails;
}

/** One effect. `do` and `undo` look first, then act: running either twice is the same as once. */
export interface Step {
  readonly name: string;
  /** Its undo is owed from the moment the operation was begun, whether the step itself was reached or not. */
  readonly isOwedFromBegin?: boolean;
  /** Its effect is gone after a reboot of the host, and has to be had again. */
  readonly isVolatile?: boolean;
  /** Deadline of `do`, in milliseconds. */
  readonly timeoutMs: number;
  // biome-ignore lint/suspicious/noConfusingVoidType: a step without a result is the common case.
  do(context: StepContext): Promise<StepResult | void>;
  undo?(context: StepContext): Promise<void>;
}

export interface OperationDefinition {
  readonly kind: OperationKind;
  readonly transit: TransitState;
  readonly steps: readonly Step[];
  /** Where the machine is when all steps are done, and what else is then true of it. */
  readonly succeeded: MachineState;
  onSuccess(machine: Machine, at: Date): MachinePatch;
  /** Where it is when the steps have been undone. */
  readonly failed: MachineState;
  readonly cancelled: MachineState;
  onUndone(machine: Machine, failure: MachineFailure | null): MachinePatch;
  /** Turns an error into what the machine shows; may look at the console. */
  describeFailure(machine: Machine, error: AppError, at: Date): Promise<MachineFailure>;
  /** Holders at once, when the operation is dear. */
  readonly limiter?: Limiter;
}

/** Why a running step was aborted. */
export class OperationCancelled extends AppError {
  constructor(kind: OperationKind) {
    super('conflict', `${kind} was cancelled`, { hint: 'Another request asked for the opposite.' });
  }
}

class ShuttingDown extends AppError {
  constructor() {
    super('unavailable', 'the daemon is shutting down; the operation goes on when it is back');
  }
}

/** Time that undo of one step may take before the operation gives up on it. */
const undoTimeoutMs = 60_000;

/** Where proofs take hold: they run steps twice, make them fail, and stop the world between any two records. */
export interface RunnerHooks {
  /** Replaces a step before it is run or undone. */
  wrap?(step: Step, kind: OperationKind): Step;
  /** After a record is durable, before anything else happens. */
  recorded?(operation: Operation, step: string, phase: StepPhase): Promise<void>;
}

export interface RunnerDeps {
  readonly hooks?: RunnerHooks | undefined;
  /** Told when an undo failed: something is left for the reconciler. */
  readonly onLeftUndone: () => void;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Running {
  readonly kind: OperationKind;
  readonly controller: AbortController;
  readonly ended: Promise<Machine>;
}

export class OperationRunner {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #hooks: RunnerHooks;
  readonly #onLeftUndone: () => void;
  readonly #running = new Map<string, Running>();
  #isClosing = false;

  constructor(deps: RunnerDeps) {
    this.#store = deps.store;
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#hooks = deps.hooks ?? {};
    this.#onLeftUndone = deps.onLeftUndone;
  }

  /**
   * Inside the caller's transaction: writes the intent. `patch` is what else begins with it (a new incarnation).
   * Raises `conflict` when the machine has an open operation.
   */
  async begin(
    tx: Repositories,
    machine: Machine,
    definition: OperationDefinition,
    params: Readonly<Record<string, unknown>>,
    patch: MachinePatch = {},
  ): Promise<{ readonly machine: Machine; readonly operation: Operation }> {
    if (this.#isClosing) throw new ShuttingDown();
    const operation = this.newOperation(definition.kind, machine, params);
    await tx.operations.insert(operation);
    const begun = await transition(
      tx,
      machine,
      definition.transit,
      { ...patch, operationId: operation.id },
      this.#clock.now(),
    );
    return { machine: begun, operation };
  }

  /** Not written down yet. Belongs to the machine's tenant. */
  newOperation(
    kind: OperationKind,
    machine: Pick<Machine, 'id' | 'tenant'>,
    params: Readonly<Record<string, unknown>>,
  ): Operation {
    const at = this.#clock.now().toISOString();
    return {
      id: shortId(),
      tenant: machine.tenant,
      kind,
      machineId: machine.id,
      params,
      state: 'running',
      steps: [],
      isCancelRequested: false,
      failure: null,
      createdAt: at,
      updatedAt: at,
    };
  }

  /** Runs an operation that was begun; resolves with the machine in its success state, rejects when it was undone. */
  run(operation: Operation, definition: OperationDefinition): Promise<Machine> {
    if (this.#isClosing) return Promise.reject(new ShuttingDown());
    const controller = new AbortController();
    const ended = this.#execute(operation, definition, controller).finally(() =>
      this.#running.delete(operation.id),
    );
    this.#running.set(operation.id, { kind: operation.kind, controller, ended });
    return ended;
  }

  /** Closes an operation that can be neither finished nor undone; its machine shows the reason. */
  async giveUp(operation: Operation, definition: OperationDefinition, reason: string): Promise<void> {
    const message = `${operation.kind} could not be taken up again: ${reason}`;
    await this.#store.transaction(async (tx) => {
      const at = this.#clock.now();
      const failure = { code: 'abandoned', message, step: null };
      await tx.operations.save({ ...operation, state: 'failed', failure, updatedAt: at.toISOString() });
      const machine = await tx.machines.get(operation.machineId);
      if (machine?.operationId !== operation.id) return;
      const shown = { code: failure.code, message, at: at.toISOString(), console: [] };
      const patch = { ...definition.onUndone(machine, shown), operationId: null };
      await transition(tx, machine, definition.failed, patch, at);
    });
  }

  /**
   * Asks an open operation to stop at its next chance and waits until it has ended, whichever way; false when it does
   * not run in this process.
   */
  async cancel(operationId: string): Promise<boolean> {
    if (this.#isClosing) throw new ShuttingDown();
    await this.#store.operations.requestCancel(operationId);
    const running = this.#running.get(operationId);
    if (!running) return false;
    running.controller.abort(new OperationCancelled(running.kind));
    await running.ended.catch(() => undefined);
    return true;
  }

  isRunning(operationId: string): boolean {
    return this.#running.has(operationId);
  }

  /** Interrupts what runs and leaves it open for the next start of the daemon. */
  async close(): Promise<void> {
    this.#isClosing = true;
    for (const { controller } of this.#running.values()) controller.abort(new ShuttingDown());
    await Promise.allSettled([...this.#running.values()].map(({ ended }) => ended));
  }

  async #execute(
    begun: Operation,
    definition: OperationDefinition,
    controller: AbortController,
  ): Promise<Machine> {
    let operation = begun;
    let failure: AppError | null = null;
    if (operation.state === 'running') {
      try {
        operation = await this.#forwards(operation, definition, controller);
        return await this.#finish(operation, definition);
      } catch (error) {
        if (error instanceof ShuttingDown) throw error;
        failure = error instanceof AppError ? error : wrapError(error, definition.kind);
        operation = (await this.#store.operations.get(operation.id)) ?? operation;
        this.#log.warn(
          { operation: operation.id, machine: operation.machineId, err: error },
          `${definition.kind} failed`,
        );
      }
    }
    await this.#backwards(operation, definition, failure);
    throw failure ?? new AppError('internal', operation.failure?.message ?? `${definition.kind} was undone`);
  }

  async #forwards(
    begun: Operation,
    definition: OperationDefinition,
    controller: AbortController,
  ): Promise<Operation> {
    let operation = begun;
    const release = await definition.limiter?.acquire(controller.signal);
    try {
      for (const step of definition.steps) {
        const latest = await this.#store.operations.get(operation.id);
        if (latest?.isCancelRequested) throw new OperationCancelled(definition.kind);
        controller.signal.throwIfAborted();
        if (operation.steps.find((record) => record.name === step.name)?.phase === 'succeeded') continue;
        operation = await this.#record(operation, step.name, 'started');
        operation = await this.#runStep(operation, this.#wrapped(step, operation), controller.signal);
      }
      // What was cancelled in its last step is cancelled, too.
      controller.signal.throwIfAborted();
      return operation;
    } finally {
      release?.();
    }
  }

  async #runStep(operation: Operation, step: Step, parent: AbortSignal): Promise<Operation> {
    const late = () =>
      new AppError(
        'timeout',
        `${operation.kind}: ${step.name} did not end within ${step.timeoutMs / 1000} s`,
      );
    const { signal, clear } = deadline(step.timeoutMs, late, parent);
    try {
      const machine = await this.#machine(operation);
      const result = await step.do({ machine, operation, signal });
      return await this.#record(operation, step.name, 'succeeded', result ?? {});
    } catch (error) {
      // A step that was aborted fails in its own words; what counts is why it was aborted.
      if (parent.aborted) throw parent.reason;
      if (signal.aborted && !(error instanceof AppError)) throw signal.reason;
      throw error;
    } finally {
      clear();
    }
  }

  async #finish(operation: Operation, definition: OperationDefinition): Promise<Machine> {
    return this.#store.transaction(async (tx) => {
      const at = this.#clock.now();
      const machine = await readMachine(tx, operation);
      await tx.operations.save({ ...operation, state: 'succeeded', updatedAt: at.toISOString() });
      const patch = { ...definition.onSuccess(machine, at), operationId: null };
      return transition(tx, machine, definition.succeeded, patch, at);
    });
  }

  async #backwards(begun: Operation, definition: OperationDefinition, error: AppError | null): Promise<void> {
    const machine = await this.#machine(begun);
    const isCancelled = begun.isCancelRequested || error instanceof OperationCancelled;
    const shown =
      error && !isCancelled ? await definition.describeFailure(machine, error, this.#clock.now()) : null;
    let operation: Operation = begun;
    if (operation.state === 'running') {
      const failedStep = operation.steps.find((record) => record.phase === 'started')?.name ?? null;
      const failure = {
        code: shown?.code ?? error?.code ?? 'internal',
        message: shown?.message ?? error?.message ?? 'cancelled',
        step: failedStep,
      };
      operation = { ...operation, state: 'undoing', failure, updatedAt: this.#clock.now().toISOString() };
      await this.#store.operations.save(operation);
    }
    for (const step of [...definition.steps].reverse()) {
      const record = operation.steps.find((each) => each.name === step.name);
      if (record ? record.phase === 'undone' : !step.isOwedFromBegin) continue;
      operation = await this.#undoStep(operation, this.#wrapped(step, operation));
    }
    await this.#close(operation, definition, isCancelled, shown);
  }

  async #undoStep(operation: Operation, step: Step): Promise<Operation> {
    const noted = await this.#record(operation, step.name, 'undoing');
    const late = () => new AppError('timeout', `undo of ${step.name} did not end in time`);
    const { signal, clear } = deadline(undoTimeoutMs, late);
    try {
      const machine = await this.#machine(operation);
      await step.undo?.({ machine, operation: noted, signal });
    } catch (error) {
      // The reconciler removes what could not be undone; the operation must end all the same.
      this.#log.error({ operation: operation.id, step: step.name, err: error }, 'undo failed');
      this.#onLeftUndone();
    } finally {
      clear();
    }
    return this.#record(noted, step.name, 'undone');
  }

  async #close(
    operation: Operation,
    definition: OperationDefinition,
    isCancelled: boolean,
    shown: MachineFailure | null,
  ): Promise<void> {
    const failure: MachineFailure | null =
      shown ??
      (isCancelled || !operation.failure
        ? null
        : {
            code: operation.failure.code,
            message: operation.failure.message,
            at: this.#clock.now().toISOString(),
            console: [],
          });
    await this.#store.transaction(async (tx) => {
      const at = this.#clock.now();
      const machine = await readMachine(tx, operation);
      const state = isCancelled ? 'cancelled' : 'failed';
      await tx.operations.save({ ...operation, state, updatedAt: at.toISOString() });
      const patch = { ...definition.onUndone(machine, failure), operationId: null };
      await transition(tx, machine, isCancelled ? definition.cancelled : definition.failed, patch, at);
    });
  }

  async #record(
    operation: Operation,
    name: string,
    phase: StepPhase,
    result: StepResult = {},
  ): Promise<Operation> {
    const at = this.#clock.now().toISOString();
    const previous = operation.steps.find((record) => record.name === name);
    const record: StepRecord = { name, phase, output: result.output ?? previous?.output ?? null, at };
    const steps = previous
      ? operation.steps.map((each) => (each.name === name ? record : each))
      : [...operation.steps, record];
    const next = { ...operation, steps, updatedAt: at };
    await this.#store.transaction(async (tx) => {
      await tx.operations.save(next);
      if (!result.details) return;
      const machine = await readMachine(tx, operation);
      await tx.machines.patch(machine.id, machine.incarnation, result.details, at);
    });
    await this.#hooks.recorded?.(next, name, phase);
    return next;
  }

  #wrapped(step: Step, operation: Operation): Step {
    return this.#hooks.wrap?.(step, operation.kind) ?? step;
  }

  async #machine(operation: Operation): Promise<Machine> {
    return readMachine(this.#store, operation);
  }
}

async function readMachine(repositories: Repositories, operation: Operation): Promise<Machine> {
  const machine = await repositories.machines.get(operation.machineId);
  if (!machine)
    throw new AppError('internal', `operation ${operation.id} has no machine ${operation.machineId}`);
  return machine;
}
