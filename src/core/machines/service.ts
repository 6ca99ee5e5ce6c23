/**
 * What tenants may ask of machines on this host. Every dialect calls these use cases; none of them knows HTTP. Each reads
 * and decides inside the transaction that writes the intent, so two callers never both win.
 */
import { shortId } from '../../lib/ids.ts';
import { AppError } from '../errors.ts';
import type { EventBus } from '../events/bus.ts';
import { requireKept } from '../images/subject.ts';
import type { Operation } from '../operations/operation.ts';
import type { OperationRunner } from '../operations/runner.ts';
import type { ExecRequest, ExecSession } from '../ports/guest.ts';
import type { MachineFilter, Repositories, Store } from '../ports/store.ts';
import { type Capacity, reserveMemory } from './capacity.ts';
import { type ConsoleRequest, Consoles } from './console.ts';
import { ExecLimit } from './exec-limit.ts';
import { type Intent, nextBoot, requireBootable, requireTurn } from './intents.ts';
import { findMachine, stateConflict } from './lookup.ts';
import type { Machine, MachineSpec } from './machine.ts';
import type { MachineOperations } from './machine-operations.ts';
import { type CreateRequest, type MachineDefaults, makeSpec } from './spec.ts';
import { decide } from './states.ts';
import { type Edges, guestOf, lookTimeoutMs, requireDiskSpace } from './steps/context.ts';
import { pausableOf } from './steps/pause.ts';
import type { Supervisor } from './supervisor.ts';
import { type WaitRequest, waitForState } from './wait.ts';

export interface MachineServiceDeps {
  readonly store: Store;
  readonly bus: EventBus;
  readonly edges: Edges;
  readonly runner: OperationRunner;
  readonly machineOperations: MachineOperations;
  readonly supervisor: Pick<Supervisor, 'takeUp'>;
  readonly defaults: MachineDefaults;
  readonly capacity: Capacity;
}

/** `ignored`: the machine already is, or is on its way to be, what was asked for. */
export type ActionResult =
  | { readonly verdict: 'done'; readonly machine: Machine }
  | { readonly verdict: 'ignored'; readonly machine: Machine };

type Act = 'start' | 'restart' | 'stop' | 'pause' | 'resume' | 'delete';
type WaitFor = Omit<WaitRequest, 'machineId'>;

/** How often an action waits for what it cancels; each time it may find another operation under way. */
const cancelsMax = 5;
/** The range of `vmm_uid` allocations: as many as fit between two bases of uid ranges of 65,536. */
export const vmmUidMax = 60_000;

export class MachineService {
  readonly #deps: MachineServiceDeps;
  readonly #store: Store;
  readonly #edges: Edges;
  readonly #operations: MachineOperations;
  readonly #execs = new ExecLimit();
  readonly #consoles: Consoles;

  constructor(deps: MachineServiceDeps) {
    this.#deps = deps;
    this.#store = deps.store;
    this.#edges = deps.edges;
    this.#operations = deps.machineOperations;
    this.#consoles = new Consoles(deps);
  }

  /** Raises `invalid`, `not_found` (image), `conflict` (name taken), `exhausted` (no space), `unsupported`. */
  async create(tenant: string, request: CreateRequest): Promise<Machine> {
    const { defaults, runner } = this.#deps;
    const engine = request.engine ?? defaults.engine;
    const driver = this.#edges.engines.get(engine);
    if (!driver) {
      throw new AppError('invalid', `this host has no engine '${engine}'`, {
        hint: `It has: ${[...this.#edges.engines.keys()].join(', ')}.`,
      });
    }
    const name = request.image ?? defaults.image;
    const image = await this.#edges.images.resolve(tenant, name, AbortSignal.timeout(lookTimeoutMs));
    const spec = makeSpec(request, defaults, image, driver.capabilities);
    const { operation } = await runner.begin(async (tx) => {
      await requireKept(tx, this.#operations.owner.hostId, image);
      return this.#recordNew(tx, tenant, spec, image.digest);
    });
    return this.#operations.run(operation, this.#operations.definitions['machine.create']);
  }

  async #recordNew(
    tx: Repositories,
    tenant: string,
    spec: MachineSpec,
    imageDigest: string,
  ): Promise<{ readonly operation: Operation }> {
    const id = shortId();
    const { hostId } = this.#operations.owner;
    const at = this.#edges.clock.now().toISOString();
    const operation = this.#operations.newOperation('machine.create', { id, tenant }, {});
    const owner = { kind: 'machine' as const, id };
    const slot = await tx.allocations.take({ hostId, kind: 'vmm_uid', owner, min: 1, max: vmmUidMax, at });
    await tx.machines.insert({
      id,
      hostId,
      tenant,
      spec,
      imageDigest,
      state: 'creating',
      desired: 'stopped',
      operationId: operation.id,
      incarnation: null,
      bootId: null,
      handle: null,
      failure: null,
      slot,
      revision: 0,
      createdAt: at,
      updatedAt: at,
      startedAt: null,
    });
    await tx.operations.insert(operation);
    return { operation };
  }

  list(filter: MachineFilter): Promise<{ readonly machines: readonly Machine[]; readonly total: number }> {
    return this.#store.machines.list(filter);
  }

  /** By id, else by name. Raises `not_found`. */
  async get(tenant: string, idOrName: string): Promise<Machine> {
    return findMachine(this.#store, tenant, idOrName);
  }

  /** What this host does not give the machine, limits or isolation; empty when it gives all, or has no such engine. */
  warningsOf(machine: Machine): readonly string[] {
    return this.#edges.engines.get(machine.spec.engine)?.warnings ?? [];
  }

  /** Resolves when the guest answers. Raises `exhausted` when the host's memory is reserved by other machines. */
  async start(tenant: string, idOrName: string): Promise<ActionResult> {
    const machine = await this.get(tenant, idOrName);
    if (decide('start', machine.state).verdict === 'accept') await requireBootable(this.#edges, machine);
    requireTurn(this.#operations.startLimiter);
    return this.#act('start', tenant, idOrName, async (seen, tx) => {
      await reserveMemory(tx, seen, this.#deps.capacity);
      return nextBoot(seen, this.#operations.owner.bootId);
    });
  }

  /** Ends the guest, gracefully if it can, and starts it anew; resolves when the new incarnation answers. */
  async restart(tenant: string, idOrName: string): Promise<ActionResult> {
    const machine = await this.get(tenant, idOrName);
    // Before the guest is asked to end: it would not come back.
    if (decide('restart', machine.state).verdict === 'accept') {
      await requireBootable(this.#edges, machine);
      await requireDiskSpace(this.#edges, AbortSignal.timeout(lookTimeoutMs));
    }
    requireTurn(this.#operations.startLimiter);
    const { bootId } = this.#operations.owner;
    return this.#act('restart', tenant, idOrName, (seen) => nextBoot(seen, bootId));
  }

  /** See `waitForState`. Raises `not_found` at once when there is no such machine. */
  async wait(tenant: string, idOrName: string, wanted: WaitFor, signal: AbortSignal): Promise<Machine> {
    const { id: machineId } = await this.get(tenant, idOrName);
    return waitForState(this.#store, this.#deps.bus, { machineId, ...wanted }, signal);
  }

  async stop(tenant: string, idOrName: string): Promise<ActionResult> {
    return this.#act('stop', tenant, idOrName, () => ({ desired: 'stopped' }));
  }

  /**
   * Stops the guest's processors and keeps its memory; `resume` continues where it was. Raises `unsupported` when the
   * engine cannot.
   */
  async pause(tenant: string, idOrName: string): Promise<ActionResult> {
    return this.#act('pause', tenant, idOrName, (machine) => {
      pausableOf(this.#edges, machine);
      return { desired: 'running' };
    });
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
    this.#operations.requireHere(machine);
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
    const machine = await this.get(tenant, idOrName);
    this.#operations.requireHere(machine);
    return this.#consoles.open(machine, request, signal);
  }

  /** Cuts the streams off. Operations under way go on; see Supervisor.close. */
  close(): void {
    this.#consoles.close();
  }

  async #act(
    action: Act,
    tenant: string,
    idOrName: string,
    intend: (machine: Machine, tx: Repositories) => Intent | Promise<Intent>,
    force = false,
  ): Promise<ActionResult> {
    const definition = this.#operations.definitions[`machine.${action}`];
    for (let cancels = 0; cancels < cancelsMax; cancels++) {
      const seen: { verdict: 'cancel' | 'ignore'; machine: Machine }[] = [];
      const begun = await this.#deps.runner.begin(async (tx) => {
        seen.length = 0;
        const machine = await findMachine(tx, tenant, idOrName);
        this.#operations.requireHere(machine);
        const { verdict } = decide(action, machine.state, force);
        if (verdict === 'deny') throw stateConflict(action, machine);
        if (verdict !== 'accept') {
          seen.push({ verdict, machine });
          return null;
        }
        const { desired, params = {}, patch = {} } = await intend(machine, tx);
        return this.#operations.begin(tx, machine, definition, params, { ...patch, desired });
      });
      if (begun) {
        const { machine, operation } = begun;
        if (action !== 'start' && machine.incarnation) this.#operations.exits.unwatch(machine.incarnation);
        return { verdict: 'done', machine: await this.#operations.run(operation, definition) };
      }
      const [found] = seen;
      if (found?.verdict === 'ignore') return { verdict: 'ignored', machine: found.machine };
      const ended = found ? await this.#cancel(action, found.machine) : null;
      if (ended) return { verdict: 'done', machine: ended };
    }
    throw new AppError('unavailable', `machine ${idOrName} is busy`, { hint: 'Try again in a moment.' });
  }

  /** Cancels what the machine is doing. Resolves with the machine when that was all there was to do. */
  async #cancel(action: Act, machine: Machine): Promise<Machine | null> {
    const { runner, supervisor } = this.#deps;
    if (machine.operationId && (await runner.cancel(machine.operationId)) === 'elsewhere') {
      const orphan = await this.#store.operations.get(machine.operationId);
      if (orphan) await supervisor.takeUp(orphan);
    }
    const now = await this.#store.machines.get(machine.id);
    if (!now) return { ...machine, state: 'deleted', operationId: null };
    return action === 'stop' && now.state === 'stopped' ? now : null;
  }
}
