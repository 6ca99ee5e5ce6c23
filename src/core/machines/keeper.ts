/**
 * Performs timed work on machines: ends those whose lifetime is over, and restarts those whose restart
 * policy is due. It reads what is due from the store, so it survives restarts of the daemon; work that became
 * due meanwhile is done at once. Acts for the host, not for a caller.
 */
import { isAppError } from '../errors.ts';
import type { OperationRunner } from '../operations/runner.ts';
import type { Store } from '../ports/store.ts';
import type { MachineActions } from './actions.ts';
import { type Capacity, reserveMemory } from './capacity.ts';
import { Expiry } from './expiry.ts';
import { nextBoot, requireBootable, requireTurn } from './intents.ts';
import { isPast } from './lifetime.ts';
import type { Machine } from './machine.ts';
import type { MachineOperations } from './machine-operations.ts';
import { planRetry } from './restarts.ts';
import { decide } from './states.ts';
import type { Edges } from './steps/context.ts';

export interface KeeperDeps {
  readonly store: Store;
  readonly edges: Edges;
  readonly runner: OperationRunner;
  readonly machineOperations: MachineOperations;
  readonly actions: MachineActions;
  readonly capacity: Capacity;
  /** Work of other kinds that is due at a time; looked for at the same interval. */
  readonly others?: readonly DueWork[];
}

export interface DueWork {
  /** Begins the work that is due and not running yet. */
  look(): Promise<void>;
  /** Resolves when all begun work has ended, successfully or not. */
  settled(): Promise<void>;
}

/** Check interval: the end of a lifetime, or a restart, is late by at most this. */
const intervalMs = 1_000;
/** Limit of machines handled at once; others wait for a later check. */
const busyMax = 32;
/** Delay before the end of a lifetime that could not be carried out is tried again. */
const expireAgainMs = 60_000;

export class Keeper {
  readonly #deps: KeeperDeps;
  readonly #expiry: Expiry;
  readonly #busy = new Map<string, Promise<void>>();
  /** Machine id → when to try its end again, in milliseconds. Only machines that are still due. */
  #expireAgain: ReadonlyMap<string, number> = new Map();
  #stopTimer: () => void = () => undefined;
  #isClosed = false;

  constructor(deps: KeeperDeps) {
    this.#deps = deps;
    this.#expiry = new Expiry(deps);
  }

  /** Starts checking periodically, until `close`. */
  start(): void {
    const { clock, log } = this.#deps.edges;
    this.#stopTimer = clock.every(intervalMs, () =>
      this.look().catch((error: unknown) => log.error({ err: error }, 'due work not read')),
    );
  }

  /** Begins the work that is due and not running yet. */
  async look(): Promise<void> {
    const { store, edges, machineOperations } = this.#deps;
    const now = edges.clock.now();
    // Running ones stay due until their operation is recorded.
    const limit = 2 * busyMax + this.#expireAgain.size;
    const due = await store.machines.due(machineOperations.owner.hostId, now.toISOString(), limit);
    const isDue = new Set(due.map(({ id }) => id));
    this.#expireAgain = new Map([...this.#expireAgain].filter(([id]) => isDue.has(id)));
    for (const machine of due) {
      const isPutOff = (this.#expireAgain.get(machine.id) ?? 0) > now.getTime();
      if (this.#busy.has(machine.id) || isPutOff || this.#busy.size >= busyMax) continue;
      const ended = this.#keep(machine, now).finally(() => this.#busy.delete(machine.id));
      this.#busy.set(machine.id, ended);
    }
    for (const other of this.#deps.others ?? []) await other.look();
  }

  /** Resolves when all begun work has ended, successfully or not. */
  async settled(): Promise<void> {
    await Promise.all(this.#busy.values());
    for (const other of this.#deps.others ?? []) await other.settled();
  }

  /** Begins no more work. The runner interrupts running operations. */
  close(): void {
    this.#isClosed = true;
    this.#stopTimer();
  }

  async #keep(machine: Machine, now: Date): Promise<void> {
    const { log } = this.#deps.edges;
    const hasExpired = isPast(machine.expiresAt, now);
    try {
      if (hasExpired) await this.#expiry.carryOut(machine);
      else await this.#restart(machine);
    } catch (error) {
      const doing = hasExpired ? 'end of a lifetime not carried out' : 'restart by policy failed';
      const action = hasExpired ? machine.spec.onExpire : 'restart';
      log.warn({ machine: machine.id, action, err: error }, doing);
      if (hasExpired) this.#putOff(machine.id, now.getTime() + expireAgainMs);
    }
  }

  #putOff(id: string, untilMs: number): void {
    this.#expireAgain = new Map([...this.#expireAgain, [id, untilMs]]);
  }

  async #restart(seen: Machine): Promise<void> {
    const { edges, runner, machineOperations, capacity } = this.#deps;
    const definition = machineOperations.definitions['machine.start'];
    const begin = () =>
      runner.begin(async (tx) => {
        const machine = await tx.machines.get(seen.id);
        if (!machine || !this.#isToRestart(machine)) return null;
        await reserveMemory(tx, machine, capacity);
        const { params = {}, patch = {} } = nextBoot(machine, machineOperations.owner.bootId);
        const restart = { restartCount: machine.restartCount + 1, desired: 'running' as const };
        return machineOperations.begin(tx, machine, definition, params, { ...patch, ...restart });
      });
    try {
      requireTurn(machineOperations.startLimiter);
      await requireBootable(edges, seen);
      const begun = await begin();
      if (begun) await machineOperations.run(begun.operation, definition);
    } catch (error) {
      if (!this.#isClosed) await this.#plan(seen, error);
      throw error;
    }
  }

  /** Postpones a restart that failed to begin. One that began has recorded its own next restart. */
  async #plan(seen: Machine, error: unknown): Promise<void> {
    const { store, edges } = this.#deps;
    const hasNoRoom = isAppError(error, 'exhausted') || isAppError(error, 'unavailable');
    await store.transaction(async (tx) => {
      const machine = await tx.machines.get(seen.id);
      if (!machine || !this.#isToRestart(machine)) return;
      const at = edges.clock.now();
      await tx.machines.patch(
        machine.id,
        machine.incarnation,
        planRetry(machine, hasNoRoom, at),
        at.toISOString(),
      );
    });
  }

  #isToRestart({ state, restartAt }: Machine): boolean {
    return isPast(restartAt, this.#deps.edges.clock.now()) && decide('start', state).verdict === 'accept';
  }
}
