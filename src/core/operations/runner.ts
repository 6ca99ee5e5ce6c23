/**
 * Carries operations out: asks `next` for a move, writes the log, makes the move, and asks again. It knows no
 * subjects and decides nothing itself. Every step has a deadline; a step that ignores it is abandoned, so
 * that neither a caller nor the daemon's shutdown waits for ever.
 *
 *   begin  one transaction: the subject enters its transit state, the operation is inserted
 *   step   log `started` → do → log `succeeded` with its output
 *   fail   log `undoing` → undo of each step that started, newest first → log `undone`
 *   end    one transaction: the subject enters a stable state, the operation is closed
 */
import type { Logger } from '../../lib/log.ts';
import { requestContext } from '../../lib/request-context.ts';
import { AppError, CommitUnknownError, wrapError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { Repositories, Store } from '../ports/store.ts';
import { bounded } from './bounded.ts';
import { OperationCancelled, type OperationDefinition, type Step, type StepResult } from './definition.ts';
import { Journal, type JournalHooks, OperationLost, WriteUncertain } from './journal.ts';
import { type Move, next, type OperationEvent } from './next.ts';
import { isOpen, type Operation, type OperationKind, type Owner } from './operation.ts';

/** Hooks for tests, which repeat steps, make them fail, and stop the world between any two writes. */
export interface RunnerHooks extends JournalHooks {
  /** Replaces a step before it is run or undone. */
  wrap?(step: Step<unknown>, kind: OperationKind): Step<unknown>;
}

export interface RunnerDeps {
  readonly store: Store;
  readonly owner: Owner;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called after an operation was closed although a step was not undone or did not end. */
  readonly onLeftUndone: () => void;
  readonly hooks?: RunnerHooks | undefined;
}

/** Deadline of one step's undo. */
const undoTimeoutMs = 60_000;
/** Deadline of `describeFailure`, which may read a console. */
const describeTimeoutMs = 5_000;

class ShuttingDown extends AppError {
  constructor() {
    super('unavailable', 'the daemon is shutting down; what has begun continues when it is back');
  }
}

interface Running {
  readonly kind: OperationKind;
  readonly controller: AbortController;
  readonly ended: Promise<unknown>;
}

/** A running operation: what its moves share. */
interface Run<S> {
  readonly definition: OperationDefinition<S>;
  readonly signal: AbortSignal;
  /** As last written. */
  operation: Operation;
  error: AppError | null;
  /** Whether a step was abandoned or not undone. */
  hasLeftovers: boolean;
}

export class OperationRunner {
  readonly #deps: RunnerDeps;
  readonly #hooks: RunnerHooks;
  readonly #journal: Journal;
  readonly #running = new Map<string, Running>();
  readonly #closing = new AbortController();

  constructor(deps: RunnerDeps) {
    this.#deps = deps;
    this.#hooks = deps.hooks ?? {};
    this.#journal = new Journal({ store: deps.store, owner: deps.owner, hooks: this.#hooks });
  }

  /** Fills in a new operation; the caller inserts it together with the subject's change. */
  newOperation(fields: Pick<Operation, 'id' | 'tenant' | 'kind' | 'subjects' | 'params'>): Operation {
    const at = this.#deps.clock.now().toISOString();
    return {
      ...fields,
      state: 'running',
      steps: [],
      isCancelRequested: false,
      failure: null,
      owner: this.#journal.owner,
      revision: 0,
      createdAt: at,
      updatedAt: at,
    };
  }

  /** Runs the transaction that inserts an operation; see Journal.begin. Raises `unavailable` when shutting down. */
  async begin<T extends { readonly operation: Operation } | null>(
    work: (tx: Repositories) => Promise<T>,
  ): Promise<T> {
    this.#closing.signal.throwIfAborted();
    return this.#journal.begin(work);
  }

  /**
   * Runs an operation that was begun here, or takes up an open one. Resolves with the subject on success;
   * rejects when the operation was undone. If the operation already runs, joins that run.
   */
  run<S>(operation: Operation, definition: OperationDefinition<S>): Promise<S> {
    const context = requestContext();
    if (context !== null) context.operation ??= operation.id;
    const joined = this.join(operation.id);
    if (joined) return joined as Promise<S>;
    if (this.#closing.signal.aborted) return Promise.reject(this.#closing.signal.reason);
    const controller = new AbortController();
    const run: Run<S> = {
      definition,
      signal: controller.signal,
      operation,
      error: null,
      hasLeftovers: false,
    };
    const ended = this.#drive(run).finally(() => {
      this.#running.delete(operation.id);
      this.#noteEnd(run.operation, context?.requestId);
      if (run.hasLeftovers) this.#deps.onLeftUndone();
    });
    this.#running.set(operation.id, { kind: operation.kind, controller, ended });
    return ended;
  }

  /** Left open by a shutdown: the next daemon says how it ended. */
  #noteEnd(operation: Operation, requestId: string | undefined): void {
    const { id, kind, subjects, state } = operation;
    if (isOpen(operation)) return;
    const machines = subjects.filter(({ kind }) => kind === 'machine').map(({ id }) => id);
    const ids = machines.length === 1 ? { machine: machines[0] } : { subjects };
    this.#deps.log.info({ operation: id, kind, ...ids, state, requestId }, 'operation ended');
  }

  /** Lets a second caller wait for an operation that runs in this process; null when it does not. */
  join(operationId: string): Promise<unknown> | null {
    return this.#running.get(operationId)?.ended ?? null;
  }

  isRunning(operationId: string): boolean {
    return this.#running.has(operationId);
  }

  /**
   * Asks an operation to stop as soon as it can and waits until it has ended, in whichever way. Returns
   * `elsewhere` when it is open but does not run in this process.
   */
  async cancel(operationId: string): Promise<'ended' | 'elsewhere'> {
    this.#closing.signal.throwIfAborted();
    const wasOpen = await this.#requestCancel(operationId);
    const running = this.#running.get(operationId);
    if (running) {
      if (wasOpen) running.controller.abort(new OperationCancelled(running.kind));
      await running.ended.catch(() => undefined);
      return 'ended';
    }
    return wasOpen ? 'elsewhere' : 'ended';
  }

  /**
   * True when the operation is open and its cancel flag is set. Repeats the request when its answer is lost.
   */
  async #requestCancel(operationId: string): Promise<boolean> {
    const { operations } = this.#deps.store;
    try {
      return await operations.requestCancel(operationId);
    } catch (error) {
      if (!(error instanceof CommitUnknownError)) throw error;
      const now = await operations.get(operationId);
      return now !== null && isOpen(now) && now.isCancelRequested;
    }
  }

  /** Interrupts running operations and leaves them open for the next daemon. */
  async close(): Promise<void> {
    const reason = new ShuttingDown();
    this.#closing.abort(reason);
    for (const { controller } of this.#running.values()) controller.abort(reason);
    await Promise.allSettled([...this.#running.values()].map(({ ended }) => ended));
  }

  async #drive<S>(run: Run<S>): Promise<S> {
    const { definition, operation } = run;
    let release: (() => void) | undefined;
    try {
      const waits = operation.state === 'running' && !operation.isCancelRequested;
      let event = takenUp(operation, this.#journal.owner);
      if (waits) ({ event, release } = await this.#turn(run));
      for (;;) {
        const moved = await this.#advance(run, event);
        if (moved.move.kind === 'succeed') return moved.subject as S;
        if (moved.move.kind === 'close') {
          throw run.error ?? new AppError('internal', run.operation.failure?.message ?? 'it was undone');
        }
        if (moved.move.kind === 'undo') release?.();
        event = await this.#make(run, moved.move);
      }
    } catch (error) {
      if (error instanceof OperationLost) return this.#outcome(run, error);
      throw error instanceof AppError ? error : wrapError(error, `carry out ${definition.kind}`);
    } finally {
      release?.();
    }
  }

  /** Waits for a free slot among the operations of this kind. */
  async #turn<S>(run: Run<S>): Promise<{
    readonly event: OperationEvent;
    readonly release?: (() => void) | undefined;
  }> {
    const { definition, signal, operation } = run;
    try {
      const release = await definition.limiter?.acquire(signal);
      return { event: takenUp(operation, this.#journal.owner), release };
    } catch (error) {
      if (signal.aborted && !(signal.reason instanceof OperationCancelled)) throw signal.reason;
      if (signal.aborted) return { event: { type: 'cancelled' } };
      return { event: await this.#failed(run, error) };
    }
  }

  /**
   * Writes the result of an event. A write that definitely failed fails the operation, but only once: if the
   * log cannot be written during the undo either, the operation stays open and is taken up later.
   */
  async #advance<S>(
    run: Run<S>,
    event: OperationEvent,
  ): Promise<{ readonly move: Move; readonly subject?: S }> {
    if (event.type === 'cancelled') run.error ??= new OperationCancelled(run.definition.kind);
    try {
      const moved = await this.#write(run, event);
      const isFlagged = run.operation.isCancelRequested && run.operation.state === 'running';
      return isFlagged && moved.move.kind === 'do' ? await this.#advance(run, { type: 'cancelled' }) : moved;
    } catch (error) {
      if (error instanceof OperationCancelled) return this.#advance(run, { type: 'cancelled' });
      const isFinal = error instanceof OperationLost || error instanceof WriteUncertain;
      if (isFinal || run.operation.state !== 'running' || run.error) throw error;
      return this.#advance(run, await this.#failed(run, error));
    }
  }

  async #write<S>(
    run: Run<S>,
    event: OperationEvent,
  ): Promise<{ readonly move: Move; readonly subject?: S }> {
    const { definition, operation: before } = run;
    const { subject } = definition;
    const at = this.#deps.clock.now();
    const { operation: after, move } = next(before, event, definition.steps, at.toISOString());
    const shown = move.kind === 'close' ? await this.#describe(run, move, after) : null;
    const details = event.type === 'step_succeeded' ? (event as StepSucceeded).details : undefined;
    const { value, operation } = await this.#journal.write(before, after, async (tx, saved) => {
      if (move.kind === 'succeed' && saved.isCancelRequested) throw new OperationCancelled(definition.kind);
      if (details !== undefined) await subject.keep(tx, after, details, at);
      if (move.kind === 'succeed') return subject.succeed(tx, after, at);
      if (move.kind === 'close') await subject.fail(tx, after, shown, at);
      return undefined;
    });
    run.operation = operation;
    return value === undefined ? { move } : { move, subject: value };
  }

  /** Makes a move and returns its outcome as an event. */
  async #make<S>(run: Run<S>, move: Move & { readonly step: string }): Promise<OperationEvent> {
    const { definition, operation } = run;
    const found = definition.steps.find(({ name }) => name === move.step) as Step<S>;
    const step = (this.#hooks.wrap?.(found as Step<unknown>, operation.kind) ?? found) as Step<S>;
    return move.kind === 'do' ? this.#do(run, step) : this.#undo(run, step);
  }

  async #do<S>(run: Run<S>, step: Step<S>): Promise<OperationEvent> {
    const { operation, signal: parent } = run;
    try {
      const result = await bounded(
        {
          timeoutMs: step.timeoutMs,
          parent,
          what: `${operation.kind}: ${step.name}`,
          onAbandoned: () => this.#abandoned(run, step.name),
        },
        async (signal) => step.do({ subject: await this.#subject(run), operation, signal }),
      );
      // A cancellation during the step's last moment counts too.
      parent.throwIfAborted();
      const { output = null, details } = (result ?? {}) as StepResult;
      const event: StepSucceeded = { type: 'step_succeeded', output, details };
      return event;
    } catch (error) {
      if (parent.aborted && !(parent.reason instanceof OperationCancelled)) throw parent.reason;
      if (parent.aborted) return { type: 'cancelled' };
      return this.#failed(run, error);
    }
  }

  async #undo<S>(run: Run<S>, step: Step<S>): Promise<OperationEvent> {
    const { operation } = run;
    try {
      await bounded(
        {
          timeoutMs: undoTimeoutMs,
          parent: this.#closing.signal,
          what: `undo of ${step.name}`,
          onAbandoned: () => this.#abandoned(run, step.name),
        },
        async (signal) => step.undo?.({ subject: await this.#subject(run), operation, signal }),
      );
    } catch (error) {
      // The next daemon continues the undo at this step.
      this.#closing.signal.throwIfAborted();
      // The reconciler removes what was not undone; the operation must end.
      this.#deps.log.error({ operation: operation.id, step: step.name, err: error }, 'undo failed');
      run.hasLeftovers = true;
    }
    return { type: 'step_undone' };
  }

  async #failed<S>(run: Run<S>, error: unknown): Promise<OperationEvent> {
    const { definition, operation } = run;
    run.error = error instanceof AppError ? error : wrapError(error, `carry out ${definition.kind}`);
    const names = { operation: operation.id, subjects: operation.subjects, err: error };
    this.#deps.log.warn(names, `${definition.kind} failed`);
    const { code, message } = await this.#failureOf(run, run.error);
    return { type: 'failed', failure: { code, message } };
  }

  /** An abandoned step may still have effects; the reconciler looks for them when it settles. */
  #abandoned<S>(run: Run<S>, step: string): () => void {
    const { operation } = run;
    run.hasLeftovers = true;
    this.#deps.log.error({ operation: operation.id, step }, 'step ignored its deadline and was abandoned');
    return () => this.#deps.onLeftUndone();
  }

  /** The failure that the subject shows; null after a cancellation. */
  async #describe<S>(run: Run<S>, move: Move, operation: Operation) {
    if (move.kind !== 'close' || move.as === 'cancelled') return null;
    if (run.error && !move.wasAbandoned) return this.#failureOf(run, run.error);
    const { code = 'internal', message = `${operation.kind} was undone` } = operation.failure ?? {};
    return { code, message, at: this.#deps.clock.now().toISOString(), console: [] };
  }

  async #failureOf<S>({ definition, operation }: Run<S>, error: AppError) {
    const at = this.#deps.clock.now();
    const plain = { code: error.code, message: error.message, at: at.toISOString(), console: [] };
    try {
      const limits = { timeoutMs: describeTimeoutMs, what: 'the description of a failure' };
      return await bounded(limits, async () => {
        const subject = await definition.subject.read(this.#deps.store, operation);
        if (subject === null) return plain;
        return (await definition.describeFailure?.(subject, error, at)) ?? plain;
      });
    } catch (cause) {
      this.#deps.log.warn({ operation: operation.id, err: cause }, 'failure not described');
      return plain;
    }
  }

  async #subject<S>({ definition, operation }: Run<S>): Promise<S> {
    const subject = await definition.subject.read(this.#deps.store, operation);
    if (subject !== null) return subject;
    throw new AppError('internal', `operation ${operation.id} has lost its subject`);
  }

  /** The result of an operation that another runner closed. */
  async #outcome<S>({ definition, operation }: Run<S>, lost: OperationLost): Promise<S> {
    const now = await this.#deps.store.operations.get(operation.id);
    if (!now || isOpen(now)) throw lost;
    const subject = now.state === 'succeeded' ? await definition.subject.read(this.#deps.store, now) : null;
    if (subject !== null) return subject;
    throw new AppError('conflict', now.failure?.message ?? `${definition.kind} has ended`, { cause: lost });
  }
}

type StepSucceeded = Extract<OperationEvent, { type: 'step_succeeded' }> & {
  readonly details?: unknown;
};

function takenUp(operation: Operation, owner: Owner): OperationEvent {
  return { type: 'taken_up', hasHostRebooted: operation.owner.bootId !== owner.bootId };
}
