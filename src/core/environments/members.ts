/**
 * Acts on the machines of an environment, all at once, through the machines' own operations; each of them is recorded
 * before its first effect and survives the daemon by itself. One machine's failure does not stop the others. Repeating
 * an action is harmless: it first looks what is left to do. Called by the steps of environments' operations.
 */
import { abortable } from '../../lib/abort.ts';
import { AppError } from '../errors.ts';
import type { Machine } from '../machines/machine.ts';
import type { MachineService } from '../machines/service.ts';
import { isTransit } from '../machines/states.ts';
import type { Supervisor } from '../machines/supervisor.ts';
import type { Store } from '../ports/store.ts';
import type { Environment } from './environment.ts';

export interface MembersDeps {
  readonly store: Store;
  readonly machines: Pick<MachineService, 'start' | 'halt' | 'resume' | 'delete'>;
  readonly supervisor: Pick<Supervisor, 'takeUp'>;
}

/** A machine as an environment's operation planned it. */
export interface Member {
  readonly id: string;
  readonly name: string;
}

export interface Outcome extends Member {
  /** Why the action failed for this machine; null when it did not. */
  readonly problem: string | null;
}

/** How often an action waits for an operation that somebody else began on the machine. */
const settlesMax = 5;
/** Operations of a machine among which the reason of its end is looked for. */
const recentOperations = 5;

export class Members {
  readonly #deps: MembersDeps;

  constructor(deps: MembersDeps) {
    this.#deps = deps;
  }

  /** Finishes the creation of each machine and starts it. A machine that fails is deleted again. */
  bringUp(environment: Environment, members: readonly Member[], signal: AbortSignal) {
    return this.#each(members, signal, async (member) => {
      const problem = await this.#start(environment, member).catch(messageOf);
      if (problem === null || signal.aborted) return problem;
      const left = await this.#delete(environment, member).catch(messageOf);
      return left === null ? problem : `${problem}; it could not be deleted either: ${left}`;
    });
  }

  /** Starts machines that do not run, and resumes paused ones. */
  start(environment: Environment, members: readonly Member[], signal: AbortSignal) {
    return this.#each(members, signal, (member) => this.#start(environment, member));
  }

  /** Pauses each machine, or stops it where its engine cannot pause. */
  halt(environment: Environment, members: readonly Member[], signal: AbortSignal) {
    return this.#each(members, signal, (member) => this.#halt(environment, member));
  }

  delete(environment: Environment, members: readonly Member[], signal: AbortSignal) {
    return this.#each(members, signal, (member) => this.#delete(environment, member));
  }

  /** After an abort the actions go on in the background; the operation's undo, or the next daemon, meets them. */
  async #each(
    members: readonly Member[],
    signal: AbortSignal,
    act: (member: Member) => Promise<string | null>,
  ): Promise<readonly Outcome[]> {
    const all = members.map(async (member): Promise<Outcome> => {
      const { id, name } = member;
      return { id, name, problem: await act(member).catch(messageOf) };
    });
    const outcomes = await abortable(Promise.all(all), signal);
    signal.throwIfAborted();
    return outcomes;
  }

  async #start({ tenant }: Environment, { id }: Member): Promise<string | null> {
    const { machines } = this.#deps;
    const machine = await this.#settled(id);
    if (machine === null) return this.#reasonOfEnd(tenant, id);
    if (machine.state === 'paused') await machines.resume(tenant, id, { isIdempotent: true });
    else await machines.start(tenant, id, { isIdempotent: true });
    return null;
  }

  async #halt({ tenant }: Environment, { id }: Member): Promise<string | null> {
    const machine = await this.#settled(id);
    if (machine?.state === 'running') await this.#deps.machines.halt(tenant, id);
    return null;
  }

  async #delete({ tenant }: Environment, { id }: Member): Promise<string | null> {
    if ((await this.#deps.store.machines.get(id)) === null) return null;
    try {
      const { machine } = await this.#deps.machines.delete(tenant, id, { force: true });
      return machine.state === 'deleted' ? null : `it is ${machine.state}`;
    } catch (error) {
      // Somebody else deleted it meanwhile.
      if ((await this.#deps.store.machines.get(id)) === null) return null;
      throw error;
    }
  }

  /** The machine when no operation is under way on it; null when it is gone. */
  async #settled(id: string): Promise<Machine | null> {
    const { store, supervisor } = this.#deps;
    for (let turn = 0; turn < settlesMax; turn++) {
      const machine = await store.machines.get(id);
      if (machine === null || !isTransit(machine.state)) return machine;
      const operation = await store.operations.get(machine.operationId ?? '');
      if (operation !== null) await supervisor.takeUp(operation);
    }
    throw new AppError('unavailable', 'it is busy', { hint: 'Try again in a moment.' });
  }

  /** Why a machine is gone: its create failed, or somebody deleted it. */
  async #reasonOfEnd(tenant: string, id: string): Promise<string> {
    const page = { tenant, subject: { kind: 'machine' as const, id }, limit: recentOperations, offset: 0 };
    const { operations } = await this.#deps.store.operations.list(page);
    const failed = operations.find(({ failure, state }) => failure !== null && state === 'failed');
    return failed?.failure?.message ?? 'it was deleted';
  }
}

function messageOf(error: unknown): string {
  return error instanceof AppError && error.code !== 'internal' ? error.message : 'internal error';
}
