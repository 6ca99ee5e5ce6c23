/**
 * The use cases of machines, for tenants on this host. Called by every dialect; knows nothing about HTTP.
 * Each reads and decides in the transaction that records the intent, so only one of two concurrent callers
 * wins.
 */
import { shortId } from '../../lib/ids.ts';
import { AppError } from '../errors.ts';
import type { EventBus } from '../events/bus.ts';
import { requireKept } from '../images/subject.ts';
import type { Operation } from '../operations/operation.ts';
import type { OperationRunner } from '../operations/runner.ts';
import type { ExecRequest, ExecSession } from '../ports/guest.ts';
import type { MachineFilter, Repositories, Store } from '../ports/store.ts';
import type { ActionResult, ActRequest, MachineActions } from './actions.ts';
import { type Capacity, reserveMemory } from './capacity.ts';
import { type ConsoleRequest, Consoles } from './console.ts';
import { ExecLimit } from './exec-limit.ts';
import { nextBoot, requireBootable, requireTurn } from './intents.ts';
import { findMachine, stateConflict } from './lookup.ts';
import type { ListedMachine, Machine } from './machine.ts';
import type { MachineOperations } from './machine-operations.ts';
import { type CreateRequest, type MachineDefaults, makeSpec } from './spec.ts';
import { decide } from './states.ts';
import { type Edges, engineOf, guestOf, lookTimeoutMs, requireDiskSpace } from './steps/context.ts';
import { pausableOf } from './steps/pause.ts';
import { expiry, planUpdate, type UpdateRequest } from './update.ts';
import { type WaitRequest, waitForState } from './wait.ts';

export interface MachineServiceDeps {
  readonly store: Store;
  readonly bus: EventBus;
  readonly edges: Edges;
  readonly runner: OperationRunner;
  readonly machineOperations: MachineOperations;
  readonly actions: MachineActions;
  readonly defaults: MachineDefaults;
  readonly capacity: Capacity;
}

/** See ActRequest. */
export type ActionOptions = Pick<ActRequest, 'isIdempotent'>;
type WaitFor = Omit<WaitRequest, 'machineId'>;

/** The range of `vmm_uid` allocations: fits between two uid bases that are 65,536 apart. */
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
    const expiresAt = expiry(request.lifetimeSeconds, this.#edges.clock.now());
    const { operation } = await runner.begin(async (tx) => {
      await requireKept(tx, this.#operations.owner.hostId, image);
      return this.#recordNew(tx, { tenant, spec, imageDigest: image.digest, expiresAt });
    });
    return this.#operations.run(operation, this.#operations.definitions['machine.create']);
  }

  async #recordNew(
    tx: Repositories,
    asked: Pick<Machine, 'tenant' | 'spec' | 'imageDigest' | 'expiresAt'>,
  ): Promise<{ readonly operation: Operation }> {
    const id = shortId();
    const { hostId } = this.#operations.owner;
    const at = this.#edges.clock.now().toISOString();
    const operation = this.#operations.newOperation('machine.create', { id, tenant: asked.tenant }, {});
    const owner = { kind: 'machine' as const, id };
    const slot = await tx.allocations.take({ hostId, kind: 'vmm_uid', owner, min: 1, max: vmmUidMax, at });
    await tx.machines.insert({
      ...asked,
      id,
      hostId,
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
      restartAt: null,
      restartCount: 0,
    });
    await tx.operations.insert(operation);
    return { operation };
  }

  list(
    filter: MachineFilter,
  ): Promise<{ readonly machines: readonly ListedMachine[]; readonly total: number }> {
    return this.#store.machines.list(filter);
  }

  /** By id, else by name. Raises `not_found`. */
  async get(tenant: string, idOrName: string): Promise<Machine> {
    return findMachine(this.#store, tenant, idOrName);
  }

  /** The command line its kernel was booted with or, before that, would be; `own` is what its image asks for. */
  kernelArgsOf(machine: Machine, own: string): string | null {
    const booted = machine.handle?.kernelArgs;
    if (booted != null) return booted;
    const given = this.#edges.engines.get(machine.spec.engine)?.kernelArgs ?? null;
    return given === null ? null : `${given} ${own}`.trim();
  }

  /**
   * Limits or isolation that this host cannot give the machine; empty when there are none, or the engine is
   * unknown.
   */
  warningsOf(machine: Machine): readonly string[] {
    return this.#edges.engines.get(machine.spec.engine)?.warnings ?? [];
  }

  /**
   * Resolves when the guest answers. Raises `exhausted` when other machines have reserved the host's memory.
   */
  async start(tenant: string, idOrName: string, options: ActionOptions = {}): Promise<ActionResult> {
    const machine = await this.get(tenant, idOrName);
    if (decide('start', machine.state).verdict === 'accept') await requireBootable(this.#edges, machine);
    requireTurn(this.#operations.startLimiter);
    const intend = async (seen: Machine, tx: Repositories) => {
      await reserveMemory(tx, seen, this.#deps.capacity);
      return nextBoot(seen, this.#operations.owner.bootId);
    };
    return this.#deps.actions.act({ ...options, action: 'start', tenant, idOrName, intend });
  }

  /**
   * Ends the guest, gracefully if possible, and starts it again; resolves when the new incarnation answers.
   */
  async restart(tenant: string, idOrName: string): Promise<ActionResult> {
    const machine = await this.get(tenant, idOrName);
    // Checked before the guest is asked to end, because it could not start again.
    if (decide('restart', machine.state).verdict === 'accept') {
      await requireBootable(this.#edges, machine);
      await requireDiskSpace(this.#edges, AbortSignal.timeout(lookTimeoutMs));
    }
    requireTurn(this.#operations.startLimiter);
    const { bootId } = this.#operations.owner;
    const intend = (seen: Machine) => nextBoot(seen, bootId);
    return this.#deps.actions.act({ action: 'restart', tenant, idOrName, intend });
  }

  /** See `waitForState`. Raises `not_found` at once for a missing machine. */
  async wait(tenant: string, idOrName: string, wanted: WaitFor, signal: AbortSignal): Promise<Machine> {
    const { id: machineId } = await this.get(tenant, idOrName);
    return waitForState(this.#store, this.#deps.bus, { machineId, ...wanted }, signal);
  }

  async stop(tenant: string, idOrName: string, options: ActionOptions = {}): Promise<ActionResult> {
    const intend = () => ({ desired: 'stopped' as const });
    return this.#deps.actions.act({ ...options, action: 'stop', tenant, idOrName, intend });
  }

  /**
   * Pauses the guest's vCPUs and keeps its memory; `resume` continues it. Raises `unsupported` when the
   * engine cannot pause.
   */
  async pause(tenant: string, idOrName: string, options: ActionOptions = {}): Promise<ActionResult> {
    const intend = (machine: Machine) => {
      pausableOf(this.#edges, machine);
      return { desired: 'running' as const };
    };
    return this.#deps.actions.act({ ...options, action: 'pause', tenant, idOrName, intend });
  }

  /** Resolves when the guest answers and its clock is set. */
  async resume(tenant: string, idOrName: string, options: ActionOptions = {}): Promise<ActionResult> {
    const intend = () => ({ desired: 'running' as const });
    return this.#deps.actions.act({ ...options, action: 'resume', tenant, idOrName, intend });
  }

  /** `force` also deletes a running or paused machine, and cancels its operation. */
  async delete(
    tenant: string,
    idOrName: string,
    { force }: { readonly force: boolean },
  ): Promise<ActionResult> {
    const intend = () => ({ desired: 'deleted' as const });
    return this.#deps.actions.act({ action: 'delete', tenant, idOrName, force, isIdempotent: true, intend });
  }

  /** See `planUpdate`. Also raises `conflict` when the name is taken. */
  async update(tenant: string, idOrName: string, request: UpdateRequest): Promise<Machine> {
    return this.#store.transaction(async (tx) => {
      const machine = await findMachine(tx, tenant, idOrName);
      this.#operations.requireHere(machine);
      const now = this.#edges.clock.now();
      const details = planUpdate(machine, request, engineOf(this.#edges, machine).capabilities, now);
      await tx.machines.patch(machine.id, machine.incarnation, details, now.toISOString());
      return findMachine(tx, tenant, machine.id);
    });
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
    const given = withEnv(request, machine.spec.env);
    return this.#execs.hold(machine.id, () => this.#edges.guest.exec(guestOf(machine), given, signal));
  }

  /** The last lines of the machine's console and, if requested, new output; see Consoles.open. */
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

  /** Ends all streams. Operations continue; see Supervisor.close. */
  close(): void {
    this.#consoles.close();
  }
}

/** The command's own variables take precedence. */
function withEnv(request: ExecRequest, env: Readonly<Record<string, string>>): ExecRequest {
  return Object.keys(env).length === 0 ? request : { ...request, env: { ...env, ...request.env } };
}
