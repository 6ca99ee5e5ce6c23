/**
 * Work that the host does for its machines without a request: takes up operations without a runner, adopts
 * running VMMs, records ended ones. Called when the daemon starts and by the reconciler, never through the
 * API.
 */

import type { OperationDefinitions } from '../operations/definition.ts';
import type { Operation, Owner } from '../operations/operation.ts';
import type { OperationRunner } from '../operations/runner.ts';
import type { ExitFacts } from '../ports/engine.ts';
import type { Store } from '../ports/store.ts';
import type { Machine } from './machine.ts';
import type { MachineOperations } from './machine-operations.ts';
import { type Edges, guestOf } from './steps/context.ts';
import { transition } from './transition.ts';

export interface SupervisorDeps {
  readonly store: Store;
  readonly runner: OperationRunner;
  readonly owner: Owner;
  readonly edges: Edges;
  readonly machineOperations: MachineOperations;
  /** Definitions of kinds that are not about machines; called when an operation is taken up. */
  readonly definitions: () => OperationDefinitions;
}

/**
 * An open operation that no runner here runs and that was not written for this long has lost its runner to a
 * failing store.
 */
const orphanedAfterMs = 10_000;
/** After this, an adopted guest that does not answer is logged; its link keeps trying. */
const adoptionTimeoutMs = 30_000;

export class Supervisor {
  readonly #deps: SupervisorDeps;
  /** Open operations without a runner: their revision, and since when by the monotonic clock. */
  #unattended: ReadonlyMap<string, { readonly revision: number; readonly sinceMs: number }> = new Map();

  constructor(deps: SupervisorDeps) {
    this.#deps = deps;
  }

  /**
   * Takes up the operations that a crash left open. Resolves when each has a runner, so that callers see
   * their true state; `ended` resolves when all have ended.
   */
  async recover(): Promise<{ readonly ended: Promise<void> }> {
    const open = await this.#open();
    return { ended: this.#takeUpAll(open) };
  }

  /** Takes up operations that lost their runner while the daemon ran. Called periodically. */
  async recoverOrphans(): Promise<void> {
    const nowMs = this.#deps.edges.clock.elapsedMs();
    const open = await this.#open();
    const before = this.#unattended;
    this.#unattended = new Map(
      open.map(({ id, revision }) => {
        const seen = before.get(id);
        return [id, seen?.revision === revision ? seen : { revision, sinceMs: nowMs }];
      }),
    );
    const isOrphan = ({ id }: Operation) =>
      nowMs - (this.#unattended.get(id)?.sinceMs ?? nowMs) >= orphanedAfterMs;
    await this.#takeUpAll(open.filter(isOrphan));
  }

  /** Runs an open operation, or joins its runner; resolves when it has ended, successfully or not. */
  async takeUp(operation: Operation): Promise<void> {
    const { runner, definitions, machineOperations, edges } = this.#deps;
    const named = { operation: operation.id, kind: operation.kind, subjects: operation.subjects };
    try {
      if (!runner.isRunning(operation.id)) edges.log.info(named, 'operation taken up');
      const machineDefinition = machineOperations.definitionOf(operation.kind);
      if (machineDefinition) return void (await machineOperations.run(operation, machineDefinition));
      const definition = definitions()[operation.kind];
      if (definition) return void (await runner.run(operation, definition));
      edges.log.error(named, 'operation of an unknown kind stays open');
    } catch (error) {
      // The subject shows the failure; continue with the other operations.
      edges.log.warn({ ...named, err: error }, 'operation failed after being taken up');
    }
  }

  /**
   * Watches a running machine and opens its link, on which the guest announces a power-off or reboot. Does
   * nothing if it is watched already. A paused guest is not called.
   */
  adopt(machine: Machine): void {
    const { edges, machineOperations } = this.#deps;
    const { exits, provisioner, guestKeys } = machineOperations;
    if (!machine.incarnation || exits.isWatching(machine.incarnation)) return;
    exits.watch(machine);
    if (machine.state === 'paused') return;
    provisioner.watch(machine);
    guestKeys.watch(machine);
    const signal = AbortSignal.timeout(adoptionTimeoutMs);
    edges.guest
      .waitReady(guestOf(machine), signal)
      // The daemon before may have been killed in the middle of it, or had other addresses.
      .then(() => machineOperations.networks.configure(machine, guestOf(machine), signal))
      .catch((error: unknown) =>
        edges.log.warn({ machine: machine.id, err: error }, 'adopted guest does not answer yet'),
      );
  }

  /** Records that a machine's VMM has ended. */
  recordExit(machine: Machine, facts: ExitFacts): Promise<void> {
    if (!machine.incarnation) return Promise.resolve();
    return this.#deps.machineOperations.exits.handle(machine.id, machine.incarnation, facts);
  }

  /**
   * Records that a host reboot ended a machine's VMM: the machine is started again in the background, or
   * stopped. A paused machine is stopped, because its memory is lost.
   */
  async recordHostReboot(seen: Machine, isToRun: boolean): Promise<void> {
    const { store, edges, machineOperations } = this.#deps;
    if (isToRun) {
      const operation = await machineOperations.beginBoot(seen);
      if (operation) void this.takeUp(operation);
      return;
    }
    await store.transaction(async (tx) => {
      const machine = await tx.machines.get(seen.id);
      if (machine?.state !== seen.state || machine.incarnation !== seen.incarnation) return;
      const patch = { handle: null, failure: null, desired: 'stopped' as const };
      await transition(tx, machine, 'stopped', patch, edges.clock.now());
    });
  }

  /** Stops watching. Machines keep running and open operations stay open. */
  async close(): Promise<void> {
    this.#deps.machineOperations.exits.close();
    await this.#deps.machineOperations.provisioner.close();
    await this.#deps.machineOperations.guestKeys.close();
    await this.#deps.machineOperations.networks.close();
    await this.#deps.runner.close();
  }

  async #open(): Promise<readonly Operation[]> {
    const { store, runner, owner } = this.#deps;
    const open = await store.operations.open(owner.hostId);
    return open.filter(({ id }) => !runner.isRunning(id));
  }

  async #takeUpAll(operations: readonly Operation[]): Promise<void> {
    await Promise.all(operations.map((operation) => this.takeUp(operation)));
  }
}
