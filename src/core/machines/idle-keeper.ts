/**
 * Carries out idle policies: pauses or stops running machines that nobody has used for a while. What is due is a column,
 * so it survives the daemon; who uses a machine is known to `Activity` alone and noted in the column now and then.
 * Called by the keeper, once a second.
 */
import { timeAfter } from '../../lib/times.ts';
import { AppError, isAppError } from '../errors.ts';
import type { Store } from '../ports/store.ts';
import type { MachineActions } from './actions.ts';
import type { Activity } from './activity.ts';
import { restIntent } from './intents.ts';
import type { DueWork } from './keeper.ts';
import type { IdlePolicy, Machine } from './machine.ts';
import type { MachineOperations } from './machine-operations.ts';
import type { Edges } from './steps/context.ts';

export interface IdleKeeperDeps {
  readonly store: Store;
  readonly edges: Edges;
  readonly machineOperations: Pick<MachineOperations, 'owner'>;
  readonly actions: MachineActions;
  readonly activity: Activity;
}

/** Limit of machines handled at once; others wait for a later check. */
const busyMax = 32;
/** The store learns of a use at most this often, and at least four times within the policy's time. */
const noteMsMax = 30_000;
/** Delay before a machine that could not be paused or stopped is tried again. */
const againMs = 60_000;

export class IdleKeeper implements DueWork {
  readonly #deps: IdleKeeperDeps;
  readonly #busy = new Map<string, Promise<void>>();

  constructor(deps: IdleKeeperDeps) {
    this.#deps = deps;
  }

  async look(): Promise<void> {
    const { store, edges, machineOperations } = this.#deps;
    await this.#noteUses();
    const now = edges.clock.now();
    const due = await store.machines.idle(machineOperations.owner.hostId, now.toISOString(), 2 * busyMax);
    for (const machine of due) {
      const { idle } = machine.spec;
      if (idle === null || this.#busy.has(machine.id) || this.#busy.size >= busyMax) continue;
      const ended = this.#keep(machine, idle).finally(() => this.#busy.delete(machine.id));
      this.#busy.set(machine.id, ended);
    }
  }

  async settled(): Promise<void> {
    await Promise.all(this.#busy.values());
  }

  async #noteUses(): Promise<void> {
    const { store, edges, activity } = this.#deps;
    const nowMs = edges.clock.elapsedMs();
    for (const { machineId, notedMs } of activity.unnoted()) {
      const machine = await store.machines.get(machineId);
      const idle = machine?.spec.idle ?? null;
      if (machine === null || idle === null) {
        activity.forget(machineId);
        continue;
      }
      if (nowMs - notedMs < Math.min(noteMsMax, idle.afterSeconds * 250)) continue;
      await this.#postpone(machine, idle.afterSeconds * 1000 - (activity.unusedMs(machineId) ?? 0));
      activity.noted(machineId);
    }
  }

  async #postpone({ id, incarnation, idleAt }: Machine, ms: number): Promise<void> {
    const { store, edges } = this.#deps;
    if (incarnation === null || idleAt === null) return;
    await store.machines.noteIdleAt(id, incarnation, timeAfter(edges.clock.now(), ms));
  }

  async #keep(machine: Machine, idle: IdlePolicy): Promise<void> {
    const { activity, edges } = this.#deps;
    const unusedMs = activity.unusedMs(machine.id);
    const unusedLeftMs = unusedMs === null ? 0 : idle.afterSeconds * 1000 - unusedMs;
    const leftMs = Math.max(unusedLeftMs, this.#heldMs(machine));
    try {
      if (leftMs > 0) return await this.#postpone(machine, leftMs);
      await activity.rest(machine.id, () => this.#rest(machine, idle));
    } catch (error) {
      // Somebody came in time, or has changed the machine.
      if (isAppError(error, 'conflict') || isAppError(error, 'not_found')) return;
      edges.log.warn(
        { machine: machine.id, action: idle.action, err: error },
        'idle machine not put to rest',
      );
      await this.#postpone(machine, againMs).catch((failure: unknown) =>
        edges.log.warn({ machine: machine.id, err: failure }, 'idle time not written'),
      );
    }
  }

  /** For how long somebody holds the machine. */
  #heldMs({ spec: { heldUntil } }: Machine): number {
    return heldUntil === null ? 0 : Date.parse(heldUntil) - this.#deps.edges.clock.now().getTime();
  }

  async #rest({ id, tenant }: Machine, { action }: IdlePolicy): Promise<void> {
    const { actions, edges } = this.#deps;
    await actions.act({
      action,
      tenant,
      idOrName: id,
      check: (machine) => this.#requireIdle(machine, action),
      intend: (machine) => restIntent(edges, machine, action),
    });
    edges.log.info({ machine: id, action }, 'idle machine put to rest');
  }

  /** In the transaction that begins the rest. */
  #requireIdle(machine: Machine, action: IdlePolicy['action']): void {
    const { activity, edges } = this.#deps;
    const { id, idleAt, spec } = machine;
    const unusedMs = activity.unusedMs(id);
    const isUnused = unusedMs === null || unusedMs >= (spec.idle?.afterSeconds ?? Infinity) * 1000;
    const isDue = idleAt !== null && Date.parse(idleAt) <= edges.clock.now().getTime();
    if (isUnused && isDue && this.#heldMs(machine) <= 0 && spec.idle?.action === action) return;
    throw new AppError('conflict', `machine ${id} is used again`);
  }
}
