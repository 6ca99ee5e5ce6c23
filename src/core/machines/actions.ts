/**
 * Carries out an action on a machine: reads it, decides and records the intent in one transaction, so that
 * only one of two concurrent callers wins; then runs the operation. Called by the use cases (`service.ts`)
 * for tenants and by the keeper.
 */
import { AppError } from '../errors.ts';
import type { OperationRunner } from '../operations/runner.ts';
import type { Repositories, Store } from '../ports/store.ts';
import type { Intent } from './intents.ts';
import { findMachine, stateConflict } from './lookup.ts';
import type { Machine } from './machine.ts';
import type { MachineOperations } from './machine-operations.ts';
import { decide } from './states.ts';
import type { Edges } from './steps/context.ts';
import type { Supervisor } from './supervisor.ts';

export interface MachineActionsDeps {
  readonly store: Store;
  readonly edges: Edges;
  readonly runner: OperationRunner;
  readonly machineOperations: MachineOperations;
  readonly supervisor: Pick<Supervisor, 'takeUp'>;
}

/** `ignored`: the machine is in the requested state already, or on its way there. */
export type ActionResult =
  | { readonly verdict: 'done'; readonly machine: Machine }
  | { readonly verdict: 'ignored'; readonly machine: Machine };

export type Act = 'start' | 'restart' | 'stop' | 'pause' | 'resume' | 'suspend' | 'revert' | 'delete';

export interface ActRequest {
  readonly action: Act;
  readonly tenant: string;
  readonly idOrName: string;
  /** Whether the caller forces the action; see `decide`. */
  readonly force?: boolean;
  /**
   * Treats a machine already in the requested state as success, and waits for an operation on its way there.
   */
  readonly isIdempotent?: boolean;
  /**
   * Cancels the operation that this request begins, but none that it joins. Another caller who waits for the
   * operation gets the cancellation too.
   */
  readonly signal?: AbortSignal | undefined;
  /** Called before the decision; an error refuses the action. */
  readonly check?: (machine: Machine) => void;
  /** Returns what to write with the operation; an error refuses the action. */
  readonly intend: (machine: Machine, tx: Repositories) => Intent | Promise<Intent>;
}

/** How often an action waits for a cancelled operation; another one may begin each time. */
const cancelsMax = 5;

/** The result of a transaction that did not begin an operation. */
interface Found {
  readonly verdict: 'cancel' | 'ignore' | 'done';
  readonly machine: Machine;
}

export class MachineActions {
  readonly #deps: MachineActionsDeps;

  constructor(deps: MachineActionsDeps) {
    this.#deps = deps;
  }

  /** Raises `not_found`, `conflict` when the state forbids the action, and the operation's errors. */
  async act(request: ActRequest): Promise<ActionResult> {
    const { action, idOrName, signal } = request;
    const { runner, machineOperations } = this.#deps;
    for (let cancels = 0; cancels < cancelsMax; cancels++) {
      signal?.throwIfAborted();
      const seen: Found[] = [];
      const begun = await runner.begin(async (tx) => {
        seen.length = 0;
        const next = await this.#begin(tx, request);
        if ('operation' in next) return next;
        seen.push(next);
        return null;
      });
      if (begun) {
        const { machine, operation, definition } = begun;
        if (action !== 'start' && machine.incarnation) machineOperations.exits.unwatch(machine.incarnation);
        return { verdict: 'done', machine: await machineOperations.runFor(signal, operation, definition) };
      }
      const [found] = seen;
      if (found?.verdict === 'done') return { verdict: 'done', machine: found.machine };
      if (found?.verdict === 'ignore') return this.#ignore(found.machine, request);
      const ended = found ? await this.#cancel(request, found.machine) : null;
      if (ended) return { verdict: 'done', machine: ended };
    }
    throw new AppError('unavailable', `machine ${idOrName} is busy`, { hint: 'Try again in a moment.' });
  }

  async #begin(tx: Repositories, request: ActRequest) {
    const { action, tenant, idOrName, force, check, intend } = request;
    const { machineOperations } = this.#deps;
    const machine = await findMachine(tx, tenant, idOrName);
    machineOperations.requireHere(machine);
    check?.(machine);
    const { verdict } = decide(action, machine.state, force);
    if (verdict === 'deny') throw stateConflict(action, machine);
    if (verdict === 'cancel') return { verdict, machine };
    if (verdict === 'ignore') {
      const stopped = action === 'stop' ? await this.#withoutRestart(tx, machine) : null;
      return stopped ? { verdict: 'done' as const, machine: stopped } : { verdict, machine };
    }
    const { desired, params = {}, patch = {} } = await intend(machine, tx);
    const kind = action === 'start' && machine.savedMemory !== null ? 'restore' : action;
    const definition = machineOperations.definitions[`machine.${kind}`];
    const changes = { restartCount: 0, ...patch, desired };
    return { ...(await machineOperations.begin(tx, machine, definition, params, changes)), definition };
  }

  /** Makes a stopped machine with a pending restart by policy stay stopped. */
  async #withoutRestart(tx: Repositories, machine: Machine): Promise<Machine | null> {
    if (machine.restartAt === null) return null;
    const details = { desired: 'stopped' as const, restartAt: null, restartCount: 0 };
    const at = this.#deps.edges.clock.now().toISOString();
    await tx.machines.patch(machine.id, machine.incarnation, details, at);
    return { ...machine, ...details, updatedAt: at };
  }

  async #ignore(machine: Machine, { isIdempotent = false }: ActRequest): Promise<ActionResult> {
    if (!isIdempotent) return { verdict: 'ignored', machine };
    if (machine.operationId === null) return { verdict: 'done', machine };
    await this.#deps.runner.join(machine.operationId);
    const now = await this.#deps.store.machines.get(machine.id);
    return { verdict: 'done', machine: now ?? { ...machine, state: 'deleted', operationId: null } };
  }

  /** Cancels the machine's operation. Resolves with the machine when nothing else needs to be done. */
  async #cancel({ action, force = false }: ActRequest, machine: Machine): Promise<Machine | null> {
    const { runner, supervisor, store } = this.#deps;
    if (machine.operationId && (await runner.cancel(machine.operationId)) === 'elsewhere') {
      const orphan = await store.operations.get(machine.operationId);
      if (orphan) await supervisor.takeUp(orphan);
    }
    const now = await store.machines.get(machine.id);
    if (!now) return { ...machine, state: 'deleted', operationId: null };
    // A restore that is cancelled leaves the machine suspended: it does not run, and only force gives its memory up.
    const isStopped = now.state === 'stopped' || (now.state === 'suspended' && !force);
    return action === 'stop' && isStopped ? now : null;
  }
}
