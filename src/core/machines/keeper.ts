/**
 * Performs timed work on machines: deletes those whose lifetime has ended, and restarts those whose restart
 * policy is due. It reads what is due from the store, so it survives restarts of the daemon; work that became
 * due meanwhile is done at once. Acts for the host, not for a caller.
 */
import { AppError, isAppError } from '../errors.ts';
import type { OperationRunner } from '../operations/runner.ts';
import type { Store } from '../ports/store.ts';
import type { MachineActions } from './actions.ts';
import { type Capacity, reserveMemory } from './capacity.ts';
import { nextBoot, requireBootable, requireTurn } from './intents.ts';
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

/** Check interval: a deletion or restart is late by at most this. */
const intervalMs = 1_000;
/** Limit of machines handled at once; others wait for a later check. */
const busyMax = 32;
/** Delay before a failed deletion is retried. */
const deleteAgainMs = 60_000;

export class Keeper {
  readonly #deps: KeeperDeps;
  readonly #busy = new Map<string, Promise<void>>();
  /** Machine id → when to retry its deletion, in milliseconds. Only machines that are still due. */
  #deleteAgain: ReadonlyMap<string, number> = new Map();
  #stopTimer: () => void = () => undefined;
  #isClosed = false;

  constructor(deps: KeeperDeps) {
    this.#deps = deps;
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
    const due = await store.machines.due(machineOperations.owner.hostId, now.toISOString(), 2 * busyMax);
    const isDue = new Set(due.map(({ id }) => id));
    this.#deleteAgain = new Map([...this.#deleteAgain].filter(([id]) => isDue.has(id)));
    for (const machine of due) {
      const isPutOff = (this.#deleteAgain.get(machine.id) ?? 0) > now.getTime();
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
      if (hasExpired) await this.#delete(machine);
      else await this.#restart(machine);
    } catch (error) {
      const doing = hasExpired
        ? 'machine whose lifetime has ended was not deleted'
        : 'restart by policy failed';
      log.warn({ machine: machine.id, err: error }, doing);
      if (hasExpired) this.#putOff(machine.id, now.getTime() + deleteAgainMs);
    }
  }

  #putOff(id: string, untilMs: number): void {
    this.#deleteAgain = new Map([...this.#deleteAgain, [id, untilMs]]);
  }

  async #delete({ id, tenant }: Machine): Promise<void> {
    const { actions, edges } = this.#deps;
    await actions.act({
      action: 'delete',
      tenant,
      idOrName: id,
      force: true,
      // Its lifetime may have been extended since the check.
      check({ expiresAt }) {
        if (isPast(expiresAt, edges.clock.now())) return;
        throw new AppError('conflict', `the lifetime of machine ${id} was extended`);
      },
      intend: () => ({ desired: 'deleted' }),
    });
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

function isPast(time: string | null, now: Date): boolean {
  return time !== null && Date.parse(time) <= now.getTime();
}
