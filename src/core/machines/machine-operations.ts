/**
 * Begins and runs operations on machines, and watches the VMMs that they leave running. Used by the use cases
 * (`service.ts`), which act for tenants, and by the supervisor, which acts for the host.
 */
import { shortId } from '../../lib/ids.ts';
import { Limiter } from '../../lib/limiter.ts';
import { AppError } from '../errors.ts';
import type { MachineNetworks } from '../network/networks.ts';
import { OperationCancelled } from '../operations/definition.ts';
import type { Operation, OperationKind, Owner } from '../operations/operation.ts';
import type { OperationRunner } from '../operations/runner.ts';
import type { MachinePatch, Repositories, Store } from '../ports/store.ts';
import { GuestKeys } from '../ssh/guest-keys.ts';
import { type Capacity, findShortage } from './capacity.ts';
import { ExitWatcher } from './exits.ts';
import { nextBoot } from './intents.ts';
import type { Machine } from './machine.ts';
import { Provisioner } from './provisioner.ts';
import { planRetry } from './restarts.ts';
import type { Edges } from './steps/context.ts';
import { type MachineDefinitions, machineDefinitions } from './steps/definitions.ts';
import { bootTimeoutMsDefault } from './steps/start.ts';
import type { MachineDefinition } from './subject.ts';
import { transition } from './transition.ts';

export interface MachineOperationsDeps {
  readonly store: Store;
  readonly runner: OperationRunner;
  readonly owner: Owner;
  readonly edges: Edges;
  readonly networks: MachineNetworks;
  /** Limit of concurrent starts; others wait without a deadline. */
  readonly startsMax: number;
  readonly capacity: Capacity;
  /** Limit from launch to the guest's first answer. */
  readonly bootTimeoutMs?: number | undefined;
}

export interface Begun {
  readonly machine: Machine;
  readonly operation: Operation;
}

/** The failure code of a machine that waits for memory. */
const memoryShortCode = 'memory_short';

/** Limit of the start queue. */
const startQueueMax = 10_000;

export class MachineOperations {
  readonly owner: Owner;
  readonly definitions: MachineDefinitions;
  readonly exits: ExitWatcher;
  readonly provisioner: Provisioner;
  readonly guestKeys: GuestKeys;
  readonly startLimiter: Limiter;
  readonly networks: MachineNetworks;
  readonly #deps: MachineOperationsDeps;

  constructor(deps: MachineOperationsDeps) {
    const { store, edges, networks, owner, startsMax, bootTimeoutMs = bootTimeoutMsDefault } = deps;
    this.#deps = deps;
    this.owner = owner;
    this.networks = networks;
    this.startLimiter = new Limiter(startsMax, startQueueMax);
    this.definitions = machineDefinitions(edges, networks, { limiter: this.startLimiter, bootTimeoutMs });
    this.provisioner = new Provisioner({ store, edges });
    this.guestKeys = new GuestKeys({ store, edges });
    const restart = (machine: Machine) => this.#restarted(machine);
    this.exits = new ExitWatcher({ store, edges, networks, restart });
  }

  /**
   * In the caller's transaction, moves the machine to its transit state and inserts the operation. `patch`
   * holds further changes. Raises `conflict` when the machine has an open operation.
   */
  async begin(
    tx: Repositories,
    machine: Machine,
    definition: MachineDefinition,
    params: Readonly<Record<string, unknown>>,
    patch: MachinePatch = {},
  ): Promise<Begun> {
    const operation = this.newOperation(definition.kind, machine, params);
    await tx.operations.insert(operation);
    const at = this.#deps.edges.clock.now();
    const begun = await transition(
      tx,
      machine,
      definition.transit,
      { ...patch, operationId: operation.id },
      at,
    );
    return { machine: begun, operation };
  }

  newOperation(
    kind: OperationKind,
    { id, tenant }: Pick<Machine, 'id' | 'tenant'>,
    params: Readonly<Record<string, unknown>>,
  ): Operation {
    const subjects = [{ kind: 'machine' as const, id }];
    return this.#deps.runner.newOperation({ id: shortId(), tenant, kind, subjects, params });
  }

  /** Runs an operation and watches the VMM that it leaves, also when it was undone to a state with a VMM. */
  async run(operation: Operation, definition: MachineDefinition): Promise<Machine> {
    try {
      const machine = await this.#deps.runner.run(operation, definition);
      this.watch(machine);
      return machine;
    } catch (error) {
      const [subject] = operation.subjects;
      const machine = await this.#deps.store.machines.get(subject?.id ?? '').catch(() => null);
      // The VMM may have ended meanwhile, perhaps causing the failure.
      if (machine) this.watch(machine);
      throw error;
    }
  }

  /**
   * Like `run`, for a caller who may leave: when the signal aborts before the operation has ended, the operation is
   * cancelled, and this rejects with the signal's reason once everything is undone.
   */
  async runFor(
    signal: AbortSignal | undefined,
    operation: Operation,
    definition: MachineDefinition,
  ): Promise<Machine> {
    const ended = this.run(operation, definition);
    if (signal === undefined) return ended;
    const { runner, edges } = this.#deps;
    const cancel = () =>
      void runner
        .cancel(operation.id)
        .catch((error: unknown) => edges.log.warn({ operation: operation.id, err: error }, 'not cancelled'));
    signal.addEventListener('abort', cancel, { once: true });
    if (signal.aborted) cancel();
    try {
      return await ended;
    } catch (error) {
      throw error instanceof OperationCancelled && signal.aborted ? signal.reason : error;
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  }

  definitionOf(kind: OperationKind): MachineDefinition | null {
    const definitions: Readonly<Partial<Record<OperationKind, MachineDefinition>>> = this.definitions;
    return definitions[kind] ?? null;
  }

  watch(machine: Machine): void {
    // The host rebooted, so this is not an exit: the reconciler decides what happens to the machine.
    if (machine.bootId !== null && machine.bootId !== this.owner.bootId) return;
    if (machine.state === 'running' || machine.state === 'paused') this.exits.watch(machine);
    this.provisioner.watch(machine);
    this.guestKeys.watch(machine);
  }

  /**
   * Begins to boot a machine whose incarnation has ended. Null when the machine has changed since, or the host has
   * too little memory: then the machine has failed with that reason, and the keeper starts it when there is enough.
   */
  async beginBoot(seen: Machine): Promise<Operation | null> {
    const begun = await this.#deps.runner.begin(async (tx) => {
      const machine = await tx.machines.get(seen.id);
      if (machine?.state !== 'running' || machine.incarnation !== seen.incarnation) return null;
      const shortage = await findShortage(tx, machine, this.#deps.capacity);
      if (shortage) {
        await this.#putOff(tx, machine, shortage);
        return null;
      }
      const { params = {}, patch = {} } = nextBoot(machine, this.owner.bootId);
      return this.begin(tx, machine, this.definitions['machine.start'], params, patch);
    });
    return begun?.operation ?? null;
  }

  /** Raises `unavailable` for a machine of another host. */
  requireHere(machine: Machine): void {
    if (machine.hostId === this.owner.hostId) return;
    throw new AppError('unavailable', `machine ${machine.id} is on another host`, {
      hint: 'Ask the daemon of that host.',
      details: { host: machine.hostId },
    });
  }

  async #putOff(tx: Repositories, machine: Machine, { message }: AppError): Promise<void> {
    const { clock, log } = this.#deps.edges;
    log.warn({ machine: machine.id, reason: message }, 'start postponed');
    const at = clock.now();
    const failure = { code: memoryShortCode, message, at: at.toISOString(), console: [] };
    await transition(tx, machine, 'failed', { handle: null, failure, ...planRetry(machine, true, at) }, at);
  }

  /** Resolves when the start has begun, so that recording an exit does not wait for a whole boot. False when none began. */
  async #restarted(seen: Machine): Promise<boolean> {
    const operation = await this.beginBoot(seen);
    if (!operation) return false;
    this.run(operation, this.definitions['machine.start']).catch((error: unknown) =>
      this.#deps.edges.log.warn({ machine: seen.id, err: error }, 'rebooted guest not started'),
    );
    return true;
  }
}
