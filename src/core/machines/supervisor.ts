/**
 * What the host owes its machines without being asked: operations that lost their runner are taken up, running VMMs are
 * adopted, ended ones recorded. Called by the daemon's start and the reconciler; no caller of the API reaches it.
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
  /** Of every kind, not of machines alone. */
  readonly definitions: OperationDefinitions;
}

/** An open operation that runs nowhere and was not written for this long lost its runner to a failing store. */
const orphanedAfterMs = 10_000;
/** When a guest that ran before the daemon did is reported not to answer; its link keeps trying. */
const adoptionTimeoutMs = 30_000;

export class Supervisor {
  readonly #deps: SupervisorDeps;
  /** Open operations without a runner: at which revision, and since when by the clock that nobody sets. */
  #unattended: ReadonlyMap<string, { readonly revision: number; readonly sinceMs: number }> = new Map();

  constructor(deps: SupervisorDeps) {
    this.#deps = deps;
  }

  /**
   * Takes up what a crash left open. Resolves when the open operations are known and each has a runner, so that callers
   * see them as what they are; `ended` resolves when all of them have ended.
   */
  async recover(): Promise<{ readonly ended: Promise<void> }> {
    const open = await this.#open();
    return { ended: this.#takeUpAll(open) };
  }

  /** Takes up operations that lost their runner while the daemon ran. Called again and again. */
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

  /** Runs an operation that was left open, or joins the runner it has; resolves when it has ended, whichever way. */
  async takeUp(operation: Operation): Promise<void> {
    const { runner, definitions, machineOperations, edges } = this.#deps;
    const named = { operation: operation.id, kind: operation.kind, subjects: operation.subjects };
    try {
      if (!runner.isRunning(operation.id)) edges.log.info(named, 'operation taken up');
      const machineDefinition = machineOperations.definitionOf(operation.kind);
      if (machineDefinition) return void (await machineOperations.run(operation, machineDefinition));
      const definition = definitions[operation.kind];
      if (definition) return void (await runner.run(operation, definition));
      edges.log.error(named, 'operation of an unknown kind stays open');
    } catch (error) {
      // Its subject shows the failure; the others must still be taken up.
      edges.log.warn({ ...named, err: error }, 'operation that was taken up failed');
    }
  }

  /**
   * Watches a machine that runs and opens its link, over which its guest announces what it is about to do. Does nothing
   * for one that is watched. A paused guest is not spoken to.
   */
  adopt(machine: Machine): void {
    const { edges, machineOperations } = this.#deps;
    const { exits } = machineOperations;
    if (!machine.incarnation || exits.isWatching(machine.incarnation)) return;
    exits.watch(machine);
    if (machine.state === 'paused') return;
    edges.guest
      .waitReady(guestOf(machine), AbortSignal.timeout(adoptionTimeoutMs))
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
   * Records that a machine lost its VMM when the host rebooted: it is started again in the background, or stopped. A
   * paused machine is stopped, since its memory is lost.
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

  /** Stops watching. Leaves machines running and open operations open. */
  async close(): Promise<void> {
    this.#deps.machineOperations.exits.close();
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
