/**
 * Has running guests carry out their machines' user data, with their SSH keys, and records how far they are. Called with every machine
 * that has begun to run or is adopted; works in the background, so that no start waits for it. The guest does it
 * once and remembers the outcome, so asking again after a lost link, or by another daemon, is harmless.
 */
import { AppError, isAppError } from '../errors.ts';
import type { Store } from '../ports/store.ts';
import { guestTasks } from '../ssh/machine-keys.ts';
import type { Provisioning } from '../user-data/user-data.ts';
import type { Machine } from './machine.ts';
import { type Edges, guestOf } from './steps/context.ts';

/** How soon a guest is asked again after its link or the store has failed. */
const againMs = 5_000;

export interface ProvisionerDeps {
  readonly store: Store;
  readonly edges: Edges;
}

export class Provisioner {
  readonly #deps: ProvisionerDeps;
  /** By incarnation; one at a time. */
  readonly #running = new Map<string, Promise<void>>();
  readonly #closing = new AbortController();

  constructor(deps: ProvisionerDeps) {
    this.#deps = deps;
  }

  /** Begins, unless the machine has no user data left to carry out or it has begun. Never throws. */
  watch(machine: Machine): void {
    const { incarnation } = machine;
    if (!isDue(machine) || !incarnation || this.#running.has(incarnation) || this.#closing.signal.aborted)
      return;
    const ended = this.#untilDone(machine.id, incarnation).finally(() => this.#running.delete(incarnation));
    this.#running.set(incarnation, ended);
  }

  /** Waits for no guest any more; the guests go on, and the next daemon asks them. */
  async close(): Promise<void> {
    this.#closing.abort(new AppError('unavailable', 'the daemon ends'));
    await Promise.all(this.#running.values());
  }

  /** Resolves when the outcome is recorded, the incarnation has ended, or the daemon ends. Never rejects. */
  async #untilDone(machineId: string, incarnation: string): Promise<void> {
    const { edges } = this.#deps;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        if (await this.#ask(machineId, incarnation)) return;
      } catch (error) {
        if (signal.aborted) return;
        edges.log.warn({ machine: machineId, incarnation, err: error }, 'outcome of user data not known yet');
      }
      await edges.clock.sleep(againMs, signal).catch(() => undefined);
    }
  }

  /** True when there is nothing left to ask this incarnation. */
  async #ask(machineId: string, incarnation: string): Promise<boolean> {
    const { store, edges } = this.#deps;
    const machine = await store.machines.get(machineId);
    if (!machine || machine.incarnation !== incarnation || !isDue(machine)) return true;
    if (machine.provisioning?.state === 'pending') await this.#record(machine, 'running', null);
    const outcome = await this.#outcomeOf(machine);
    const message = outcome.outcome === 'failed' ? outcome.message : null;
    await this.#record(machine, outcome.outcome, message);
    edges.log.info({ machine: machineId, incarnation, ...outcome }, 'user data carried out');
    return true;
  }

  /** Raises only what asking again may mend. */
  async #outcomeOf(machine: Machine) {
    const { userData, sshKeys } = machine.spec;
    try {
      const { guest } = this.#deps.edges;
      const [target, { signal }] = [guestOf(machine), this.#closing];
      // First, so that the user data adds none of them a second time. An agent that is too old keeps those of now for ever.
      const arePlaced = await guest.setSshKeys(target, sshKeys, signal);
      const tasks = arePlaced ? userData : guestTasks(userData, sshKeys);
      if (tasks === null) return { outcome: 'succeeded' as const };
      return await guest.provision(target, tasks, signal);
    } catch (error) {
      const isFinal = isAppError(error) && finalCodes.includes(error.code);
      if (!isFinal) throw error;
      return { outcome: 'failed' as const, message: [error.message, error.hint].filter(Boolean).join('. ') };
    }
  }

  /** Only while the machine runs this incarnation. */
  async #record(machine: Machine, state: Provisioning['state'], message: string | null): Promise<void> {
    const { store, edges } = this.#deps;
    const at = edges.clock.now().toISOString();
    await store.machines.patch(machine.id, machine.incarnation, { provisioning: { state, message, at } }, at);
  }
}

const finalCodes = ['unsupported', 'invalid', 'conflict', 'exhausted'];

/** Whether the machine's guest can be asked, and there is something to ask. Its SSH keys are part of it. */
export function isDue({ state, handle, provisioning }: Machine): boolean {
  const isOpen = provisioning?.state === 'pending' || provisioning?.state === 'running';
  return isOpen && state === 'running' && handle !== null;
}
