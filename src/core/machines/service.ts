/**
 * The use cases of machines on this host. Every dialect calls these; none of them knows HTTP.
 * Each reads and decides inside the transaction that writes the intent, so two callers never both win.
 */
import { shortId } from '../../lib/ids.ts';
import { Limiter } from '../../lib/limiter.ts';
import { AppError } from '../errors.ts';
import type { ChangeBus } from '../events/bus.ts';
import { observeStore } from '../events/observed-store.ts';
import type { ImageHolds } from '../images/holds.ts';
import type { Operation } from '../operations/operation.ts';
import { planRecovery, redoFrom } from '../operations/recover.ts';
import { OperationRunner, type RunnerHooks } from '../operations/runner.ts';
import type { ExecRequest, ExecSession } from '../ports/guest.ts';
import type { MachineFilter, Store } from '../ports/store.ts';
import { type ConsoleRequest, Consoles } from './console.ts';
import { ExecSlots } from './exec-slots.ts';
import { ExitWatcher } from './exits.ts';
import { type Intent, nextBoot, requireBootable, requireTurn } from './intents.ts';
import { findMachine, stateConflict } from './lookup.ts';
import type { Machine, MachineSpec } from './machine.ts';
import { type CreateRequest, type MachineDefaults, makeSpec } from './spec.ts';
import { decide } from './states.ts';
import { type Edges, guestOf, lookTimeoutMs } from './steps/context.ts';
import { type OperationDefinitions, operationDefinitions } from './steps/definitions.ts';
import { pausableOf } from './steps/pause.ts';
import { bootTimeoutMsDefault } from './steps/start.ts';
import { transition } from './transition.ts';
import { type WaitRequest, waitForState } from './wait.ts';

export interface MachineServiceDeps {
  readonly store: Store;
  readonly bus: ChangeBus;
  readonly edges: Edges;
  readonly defaults: MachineDefaults;
  /** The same that images are deleted with. */
  readonly imageHolds: ImageHolds;
  /** Starts under way at once; the rest waits its turn with no deadline running. */
  readonly startsMax: number;
  /** How long a guest may take from launch to its first answer. */
  readonly bootTimeoutMs?: number | undefined;
  /** Whether the host has booted since the daemon last ran on this state. */
  readonly hasHostRebooted: boolean;
  /** Told when an effect could not be undone. */
  readonly onLeftUndone?: () => void;
  /** For proofs only. */
  readonly hooks?: RunnerHooks | undefined;
}

/** `ignored`: the machine already is, or is on its way to be, what was asked for. */
export type ActionResult =
  | { readonly verdict: 'done'; readonly machine: Machine }
  | { readonly verdict: 'ignored'; readonly machine: Machine };

/** Starts that may wait for their turn. */
const startQueueMax = 10_000;
/** An open operation that has stood still this long, and runs nowhere, lost its runner to a failing store. */
const orphanedAfterMs = 10_000;
/** How often an action waits for what it cancels; each time it may find another operation under way. */
const cancelsMax = 5;
/** When a guest that ran before the daemon did is reported not to answer; its link keeps trying. */
const adoptionTimeoutMs = 30_000;

export class MachineService {
  readonly #store: Store;
  readonly #bus: ChangeBus;
  readonly #edges: Edges;
  readonly #defaults: MachineDefaults;
  readonly #imageHolds: ImageHolds;
  readonly #hasHostRebooted: boolean;
  readonly #runner: OperationRunner;
  readonly #exits: ExitWatcher;
  readonly #definitions: OperationDefinitions;
  readonly #startLimiter: Limiter;
  readonly #execs = new ExecSlots();
  readonly #consoles: Consoles;

  constructor(deps: MachineServiceDeps) {
    const { bus, edges } = deps;
    const store = observeStore(deps.store, bus);
    this.#store = store;
    this.#bus = bus;
    this.#edges = edges;
    this.#defaults = deps.defaults;
    this.#imageHolds = deps.imageHolds;
    this.#hasHostRebooted = deps.hasHostRebooted;
    this.#startLimiter = new Limiter(deps.startsMax, startQueueMax);
    this.#runner = new OperationRunner({
      store,
      clock: edges.clock,
      log: edges.log,
      hooks: deps.hooks,
      onLeftUndone: deps.onLeftUndone ?? (() => undefined),
    });
    this.#exits = new ExitWatcher({ store, edges, restart: (machine) => this.#rebooted(machine) });
    this.#consoles = new Consoles({ store, bus, edges });
    this.#definitions = operationDefinitions(edges, {
      limiter: this.#startLimiter,
      bootTimeoutMs: deps.bootTimeoutMs ?? bootTimeoutMsDefault,
    });
  }

  /** Raises `invalid`, `not_found` (image), `conflict` (name taken), `exhausted` (no space), `unsupported`. */
  async create(tenant: string, request: CreateRequest): Promise<Machine> {
    const engine = request.engine ?? this.#defaults.engine;
    const driver = this.#edges.engines.get(engine);
    if (!driver) {
      throw new AppError('invalid', `this host has no engine '${engine}'`, {
        hint: `It has: ${[...this.#edges.engines.keys()].join(', ')}.`,
      });
    }
    const name = request.image ?? this.#defaults.image;
    const operation = await this.#imageHolds.hold(
      () => this.#edges.images.resolve(tenant, name, AbortSignal.timeout(lookTimeoutMs)),
      (image) =>
        this.#recordNew(tenant, makeSpec(request, this.#defaults, image, driver.capabilities), image.digest),
    );
    return this.#runner.run(operation, this.#definitions['machine.create']);
  }

  #recordNew(tenant: string, spec: MachineSpec, imageDigest: string): Promise<Operation> {
    return this.#store.transaction(async (tx) => {
      const at = this.#edges.clock.now().toISOString();
      const operation = this.#runner.newOperation('machine.create', { id: shortId(), tenant }, {});
      await tx.machines.insert({
        id: operation.machineId,
        tenant,
        spec,
        imageDigest,
        state: 'creating',
        desired: 'stopped',
        operationId: operation.id,
        incarnation: null,
        handle: null,
        failure: null,
        createdAt: at,
        updatedAt: at,
        startedAt: null,
      });
      await tx.operations.insert(operation);
      return operation;
    });
  }

  list(filter: MachineFilter): Promise<{ readonly machines: readonly Machine[]; readonly total: number }> {
    return this.#store.machines.list(filter);
  }

  /** By id, else by name. Raises `not_found`. */
  async get(tenant: string, idOrName: string): Promise<Machine> {
    return findMachine(this.#store, tenant, idOrName);
  }

  /** Resolves when the guest answers. */
  async start(tenant: string, idOrName: string): Promise<ActionResult> {
    const machine = await this.get(tenant, idOrName);
    if (decide('start', machine.state).verdict === 'accept') await requireBootable(this.#edges, machine);
    requireTurn(this.#startLimiter);
    return this.#act('start', tenant, idOrName, nextBoot);
  }

  /** Ends the guest, gracefully if it can, and starts it anew; resolves when the new incarnation answers. */
  async restart(tenant: string, idOrName: string): Promise<ActionResult> {
    requireTurn(this.#startLimiter);
    return this.#act('restart', tenant, idOrName, nextBoot);
  }

  /** See `waitForState`. Raises `not_found` at once when there is no such machine. */
  async wait(tenant: string, idOrName: string, wanted: WaitFor, signal: AbortSignal): Promise<Machine> {
    const { id: machineId } = await this.get(tenant, idOrName);
    return waitForState(this.#store, this.#bus, { machineId, ...wanted }, signal);
  }

  async stop(tenant: string, idOrName: string): Promise<ActionResult> {
    return this.#act('stop', tenant, idOrName, () => ({ desired: 'stopped' }));
  }

  /**
   * Stands the guest still, its memory kept; it goes on where it was after `resume`. Raises `unsupported` when its engine
   * cannot.
   */
  async pause(tenant: string, idOrName: string): Promise<ActionResult> {
    const intend = (machine: Machine): Intent => {
      pausableOf(this.#edges, machine);
      return { desired: 'running' };
    };
    return this.#act('pause', tenant, idOrName, intend);
  }

  /** Resolves when the guest answers and knows the time. */
  async resume(tenant: string, idOrName: string): Promise<ActionResult> {
    return this.#act('resume', tenant, idOrName, () => ({ desired: 'running' }));
  }

  /** `force` also deletes a machine that runs or is paused. */
  async delete(
    tenant: string,
    idOrName: string,
    options: { readonly force: boolean },
  ): Promise<ActionResult> {
    return this.#act('delete', tenant, idOrName, () => ({ desired: 'deleted' }), options.force);
  }

  /** Starts a command in a running machine; see GuestLink.exec. */
  async exec(
    tenant: string,
    idOrName: string,
    request: ExecRequest,
    signal: AbortSignal,
  ): Promise<ExecSession> {
    const machine = await this.get(tenant, idOrName);
    if (decide('exec', machine.state).verdict !== 'accept') throw stateConflict('exec', machine);
    return this.#execs.hold(machine.id, () => this.#edges.guest.exec(guestOf(machine), request, signal));
  }

  /** The last lines of the machine's console, and what follows them if wanted; see Consoles.open. */
  async console(
    tenant: string,
    idOrName: string,
    request: ConsoleRequest,
    signal: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>> {
    return this.#consoles.open(await this.get(tenant, idOrName), request, signal);
  }

  /** Finishes or undoes what a crash interrupted; resolves when all of it has ended. Call before anything is served. */
  async recover(): Promise<void> {
    const open = await this.#store.operations.open();
    await Promise.all(open.map((operation) => this.#recoverOne(operation)));
  }

  /** Takes up operations that lost their runner, as when the store failed while one was being undone. */
  async recoverOrphans(): Promise<void> {
    const before = this.#edges.clock.now().getTime() - orphanedAfterMs;
    const open = await this.#store.operations.open();
    const orphans = open.filter(
      ({ id, updatedAt }) => !this.#runner.isRunning(id) && Date.parse(updatedAt) < before,
    );
    await Promise.all(orphans.map((operation) => this.#recoverOne(operation)));
  }

  /**
   * Watches a machine that already runs and opens its link, over which its guest announces what it is about to do.
   * Does nothing for one that is watched. A guest that is paused is not spoken to.
   */
  adopt(machine: Machine): void {
    if (!machine.incarnation || this.#exits.isWatching(machine.incarnation)) return;
    this.#exits.watch(machine);
    if (machine.state === 'paused') return;
    this.#edges.guest
      .waitReady(guestOf(machine), AbortSignal.timeout(adoptionTimeoutMs))
      .catch((error: unknown) =>
        this.#edges.log.warn(
          { machine: machine.id, err: error },
          'guest of an adopted machine does not answer yet',
        ),
      );
  }

  /** Records that a machine's VMM is gone. */
  exited(machine: Machine, facts: Parameters<ExitWatcher['handle']>[2]): Promise<void> {
    return machine.incarnation
      ? this.#exits.handle(machine.id, machine.incarnation, facts)
      : Promise.resolve();
  }

  /**
   * Records that a machine stopped with its host, or begins its start if it is to run; that goes on in the background. A
   * paused one is stopped: what it was to go on with was its memory.
   */
  async hostRebooted(seen: Machine, isToRun: boolean): Promise<void> {
    if (isToRun) {
      const operation = await this.#beginBoot(seen);
      if (!operation) return;
      this.#run(operation).catch((error: unknown) =>
        this.#edges.log.warn(
          { machine: seen.id, err: error },
          'machine did not start after the host’s reboot',
        ),
      );
      return;
    }
    await this.#store.transaction(async (tx) => {
      const machine = await tx.machines.get(seen.id);
      if (machine?.state !== seen.state || machine.incarnation !== seen.incarnation) return;
      const patch = { handle: null, failure: null, desired: 'stopped' as const };
      await transition(tx, machine, 'stopped', patch, this.#edges.clock.now());
    });
  }

  /** Leaves the machines running and open operations open. */
  async close(): Promise<void> {
    this.#consoles.close();
    this.#exits.close();
    await this.#runner.close();
  }

  async #act(
    action: Act,
    tenant: string,
    idOrName: string,
    intend: (machine: Machine) => Intent,
    force = false,
  ): Promise<ActionResult> {
    for (let cancels = 0; cancels < cancelsMax; cancels++) {
      const begun = await this.#store.transaction(async (tx) => {
        const machine = await findMachine(tx, tenant, idOrName);
        const { verdict } = decide(action, machine.state, force);
        if (verdict === 'deny') throw stateConflict(action, machine);
        if (verdict !== 'accept') return { verdict, machine } as const;
        const { desired, params = {}, patch = {} } = intend(machine);
        const definition = this.#definitions[`machine.${action}`];
        const { operation } = await this.#runner.begin(tx, machine, definition, params, {
          ...patch,
          desired,
        });
        return { verdict, machine, operation } as const;
      });
      if (begun.verdict === 'accept') {
        if (action !== 'start' && begun.machine.incarnation) this.#exits.unwatch(begun.machine.incarnation);
        const running = this.#run(begun.operation);
        return {
          verdict: 'done',
          machine: await running.catch((error) => this.#giveBack(begun.machine.id, error)),
        };
      }
      if (begun.verdict === 'ignore') return { verdict: 'ignored', machine: begun.machine };
      const ended = await this.#cancel(action, begun.machine);
      if (ended) return { verdict: 'done', machine: ended };
    }
    throw new AppError('unavailable', `machine ${idOrName} is busy`, { hint: 'Try again in a moment.' });
  }

  /** What was undone to a state that has a VMM is watched again: it may have ended meanwhile, which may be why. */
  async #giveBack(id: string, error: unknown): Promise<never> {
    const machine = await this.#store.machines.get(id).catch(() => null);
    if (machine) this.#watch(machine);
    throw error;
  }

  #watch(machine: Machine): void {
    if (machine.state === 'running' || machine.state === 'paused') this.#exits.watch(machine);
  }

  /** Cancels what the machine is doing. Resolves with the machine when that was all there was to do. */
  async #cancel(action: Act, machine: Machine): Promise<Machine | null> {
    if (machine.operationId && !(await this.#runner.cancel(machine.operationId))) {
      const orphan = await this.#store.operations.get(machine.operationId);
      if (orphan) await this.#recoverOne(orphan);
    }
    const now = await this.#store.machines.get(machine.id);
    if (!now) return { ...machine, state: 'deleted', operationId: null };
    return action === 'stop' && now.state === 'stopped' ? now : null;
  }

  async #run(operation: Operation): Promise<Machine> {
    const machine = await this.#runner.run(operation, this.#definitions[operation.kind]);
    this.#watch(machine);
    return machine;
  }

  async #recoverOne(operation: Operation): Promise<void> {
    const definition = this.#definitions[operation.kind];
    const machine = await this.#store.machines.get(operation.machineId);
    const plan = planRecovery(operation, definition, machine, this.#hasHostRebooted);
    const named = { operation: operation.id, kind: operation.kind, machine: operation.machineId };
    this.#edges.log.info({ ...named, plan }, 'interrupted operation is taken up');
    try {
      if (plan.action === 'give_up') await this.#runner.giveUp(operation, definition, plan.reason);
      else if (plan.action === 'redo') await this.#run(redoFrom(operation, plan.step));
      else await this.#run(operation);
    } catch (error) {
      // Its machine shows the failure; the rest must still be recovered.
      this.#edges.log.warn({ ...named, err: error }, 'interrupted operation ended in failure');
    }
  }

  async #rebooted(seen: Machine): Promise<void> {
    const operation = await this.#beginBoot(seen);
    if (operation) await this.#run(operation);
  }

  /** Writes the intent to boot a machine whose incarnation has ended; null when it is no longer as it was seen. */
  async #beginBoot(seen: Machine): Promise<Operation | null> {
    return this.#store.transaction(async (tx) => {
      const machine = await tx.machines.get(seen.id);
      if (machine?.state !== 'running' || machine.incarnation !== seen.incarnation) return null;
      const { params = {}, patch = {} } = nextBoot(machine);
      const definition = this.#definitions['machine.start'];
      return (await this.#runner.begin(tx, machine, definition, params, patch)).operation;
    });
  }
}

type Act = 'start' | 'restart' | 'stop' | 'pause' | 'resume' | 'delete';
type WaitFor = Omit<WaitRequest, 'machineId'>;
