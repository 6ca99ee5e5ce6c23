/**
 * The use cases of machines, for tenants on this host. Called by every dialect; knows nothing about HTTP.
 * Each reads and decides in the transaction that records the intent, so only one of two concurrent callers
 * wins.
 */
import type { EventBus } from '../events/bus.ts';
import type { AllocationSettings } from '../network/allocation.ts';
import { changeNetwork } from '../network/change.ts';
import type { NetworkService, NetworkView } from '../network/service.ts';
import type { Operation } from '../operations/operation.ts';
import type { OperationRunner } from '../operations/runner.ts';
import type { ExecRequest, ExecSession, GuestLinkState } from '../ports/guest.ts';
import type { LoggedCommand, LoggedEvent, LoggedRequest } from '../ports/guest-logged.ts';
import type { BootKit } from '../ports/images.ts';
import type { NetworkUsage } from '../ports/network.ts';
import type { MachineFilter, Repositories, Store } from '../ports/store.ts';
import { growthOf, requireQuota } from '../quotas/admission.ts';
import type { QuotaLimits } from '../quotas/quota.ts';
import {
  changeSshPort,
  inspectSshPorts,
  type MachineSshPorts,
  type SshPortState,
} from '../ssh/machine-ports.ts';
import type { ActionResult, ActRequest, MachineActions } from './actions.ts';
import type { Activity } from './activity.ts';
import { findAnswering } from './answering.ts';
import { type Capacity, reserveMemory } from './capacity.ts';
import { type ConsoleRequest, Consoles } from './console.ts';
import { type Asker, anyone, type MachineCreation } from './creation.ts';
import { ExecLimit } from './exec-limit.ts';
import { requireRestAction } from './idle-policy.ts';
import { nextBoot, requireBootable, requireTurn, suspendIntent } from './intents.ts';
import { findMachine } from './lookup.ts';
import type { ListedMachine, Machine } from './machine.ts';
import type { MachineOperations } from './machine-operations.ts';
import type { CreateRequest, MachineDefaults } from './spec.ts';
import { decide } from './states.ts';
import { type Edges, engineOf, lookTimeoutMs, requireDiskSpace } from './steps/context.ts';
import { pausableOf } from './steps/pause.ts';
import { planUpdate, type UpdateRequest } from './update.ts';
import { isUp, type MachineUsage, measureUsage } from './usage.ts';
import { type WaitRequest, waitForState } from './wait.ts';

export interface MachineServiceDeps {
  readonly store: Store;
  readonly bus: EventBus;
  readonly edges: Edges;
  readonly runner: OperationRunner;
  readonly machineOperations: MachineOperations;
  readonly actions: MachineActions;
  readonly creation: MachineCreation;
  readonly capacity: Capacity;
  /** For tenants without a quota of their own. */
  readonly quotas: QuotaLimits;
  readonly activity: Activity;
  readonly allocation: AllocationSettings;
  readonly network: Pick<NetworkService, 'apply' | 'following' | 'view' | 'measure'>;
  readonly sshPorts: Pick<MachineSshPorts, 'settle' | 'stateOf'>;
}

/** See ActRequest. */
export type ActionOptions = Pick<ActRequest, 'isIdempotent'>;
/** For actions whose cancellation leaves the machine as it was. */
export type CancellableOptions = Pick<ActRequest, 'isIdempotent' | 'signal'>;
export type StopOptions = Pick<ActRequest, 'isIdempotent' | 'force'>;
type WaitFor = Omit<WaitRequest, 'machineId'>;

export class MachineService {
  readonly #deps: MachineServiceDeps;
  readonly #store: Store;
  readonly #edges: Edges;
  readonly #operations: MachineOperations;
  readonly #execs: ExecLimit;
  readonly #consoles: Consoles;

  constructor(deps: MachineServiceDeps) {
    this.#deps = deps;
    this.#store = deps.store;
    this.#edges = deps.edges;
    this.#operations = deps.machineOperations;
    this.#consoles = new Consoles(deps);
    this.#execs = new ExecLimit(deps.activity);
  }

  /**
   * Raises `invalid`, `not_found` (image, template), `conflict` (name taken), `exhausted` (no space), `quota`,
   * `unsupported`. When the signal aborts meanwhile, nothing is left.
   */
  async create(
    tenant: string,
    request: CreateRequest,
    asker: Asker = anyone,
    signal?: AbortSignal,
  ): Promise<Machine> {
    const { creation, runner } = this.#deps;
    const plan = await creation.plan(tenant, request);
    signal?.throwIfAborted();
    const { operation } = await runner.begin(async (tx) => {
      const [recorded] = await creation.record(tx, tenant, [plan], asker);
      return { operation: recorded as Operation };
    });
    const definition =
      this.#operations.definitions[plan.snapshot === null ? 'machine.create' : 'machine.clone'];
    const machine = await this.#operations.runFor(signal, operation, definition);
    if (machine.spec.sshPort !== null) await this.#deps.sshPorts.settle(machine.id);
    return machine;
  }

  /** What a request gets for what it leaves out. */
  get defaults(): MachineDefaults {
    return this.#deps.creation.defaults;
  }

  /** Whether machines of this host can have an SSH port. */
  get hasSshPorts(): boolean {
    return this.#deps.allocation.sshPortRange !== null;
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

  /** The command line its kernel was booted with or, before that, would be with this kit. */
  kernelArgsOf(machine: Machine, kit: Pick<BootKit, 'kernelArgs' | 'needsAcpi'> | null): string | null {
    const booted = machine.handle?.kernelArgs;
    if (booted != null) return booted;
    const { kernelArgs, needsAcpi } = kit ?? { kernelArgs: '', needsAcpi: true };
    const given = this.#edges.engines.get(machine.spec.engine)?.kernelArgs(needsAcpi) ?? null;
    return given === null ? null : `${given} ${kernelArgs}`.trim();
  }

  /**
   * Limits or isolation that this host cannot give the machine; empty when there are none, or the engine is
   * unknown.
   */
  warningsOf(machine: Machine): readonly string[] {
    return this.#edges.engines.get(machine.spec.engine)?.warnings ?? [];
  }

  /**
   * Resolves when the guest answers. Raises `exhausted` when other machines have reserved the host's memory. A start
   * that is cancelled leaves the machine stopped.
   */
  async start(tenant: string, idOrName: string, options: CancellableOptions = {}): Promise<ActionResult> {
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

  /** `force` also stops a suspended machine, whose memory is lost. */
  async stop(tenant: string, idOrName: string, options: StopOptions = {}): Promise<ActionResult> {
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

  /**
   * Makes a machine stand still: pauses it, or stops it where its engine cannot pause. One that is paused, suspended,
   * stopped or on its way there stays so.
   */
  async halt(tenant: string, idOrName: string): Promise<ActionResult> {
    const machine = await this.get(tenant, idOrName);
    if (decide('suspend', machine.state).verdict === 'ignore')
      return this.suspend(tenant, idOrName, { isIdempotent: true });
    const isStill = decide('stop', machine.state).verdict === 'ignore';
    const canPause = engineOf(this.#edges, machine).pause !== null;
    const act = canPause && !isStill ? this.pause : this.stop;
    return act.call(this, tenant, idOrName, { isIdempotent: true });
  }

  /** Resolves when the guest answers and its clock is set. A resume that is cancelled leaves the machine paused. */
  async resume(tenant: string, idOrName: string, options: CancellableOptions = {}): Promise<ActionResult> {
    const intend = () => ({ desired: 'running' as const });
    return this.#deps.actions.act({ ...options, action: 'resume', tenant, idOrName, intend });
  }

  /**
   * Saves the guest's memory beside its disk and ends the VMM; a start restores it. Raises `unsupported` when the engine
   * or the guest's agent cannot, and `exhausted` without space on the disk. A machine that cannot be suspended goes on.
   */
  async suspend(tenant: string, idOrName: string, options: CancellableOptions = {}): Promise<ActionResult> {
    const intend = (machine: Machine) => suspendIntent(this.#edges, machine);
    return this.#deps.actions.act({ ...options, action: 'suspend', tenant, idOrName, intend });
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

  /**
   * See `planUpdate` and `changeNetwork`. The change of a network that the host refuses is recorded all the same, and
   * its view says that it is not in force yet. Also raises `conflict` when the name is taken, and `quota`.
   */
  async update(
    tenant: string,
    idOrName: string,
    request: UpdateRequest,
    { tier }: Asker = anyone,
  ): Promise<Machine> {
    const { id, imageDigest } = await this.get(tenant, idOrName);
    const image =
      request.memoryMib === undefined && request.diskMib === undefined
        ? null
        : await this.#edges.images.find(imageDigest, AbortSignal.timeout(lookTimeoutMs));
    const looking = AbortSignal.timeout(lookTimeoutMs);
    const busy = await inspectSshPorts(this.#edges.network, request.sshPort, looking);
    const change = async (tx: Repositories) => {
      const machine = await findMachine(tx, tenant, id);
      this.#operations.requireHere(machine);
      const now = this.#edges.clock.now();
      const engine = engineOf(this.#edges, machine);
      const { capabilities } = engine;
      requireRestAction(request.idle?.action, engine);
      requireRestAction(request.onExpire, engine);
      const planned = planUpdate(machine, request, { capabilities, image }, now);
      const network = await this.#changedNetwork(tx, machine, request, now);
      const sshPort = await this.#changedSshPort(tx, machine, request, busy, now);
      const spec = { ...(planned.spec ?? machine.spec), ...network, ...sshPort };
      const growth = growthOf(machine.spec, spec);
      await requireQuota(tx, { tenant, tier, defaults: this.#deps.quotas }, growth);
      await tx.machines.patch(machine.id, machine.incarnation, { ...planned, spec }, now.toISOString());
      return findMachine(tx, tenant, machine.id);
    };
    const updated = await this.#deps.network.following(
      () => id,
      () => this.#store.transaction(change),
    );
    if (request.sshPort !== undefined) await this.#deps.sshPorts.settle(id);
    if (request.sshKeys !== undefined) this.#operations.guestKeys.changed(updated);
    // Its name is in the host's DNS.
    if (request.network !== undefined || request.name !== undefined) await this.#deps.network.apply(updated);
    return updated;
  }

  async #changedNetwork(tx: Repositories, machine: Machine, { network }: UpdateRequest, now: Date) {
    if (network === undefined) return {};
    return { network: await changeNetwork(tx, machine, network, now.toISOString(), this.#deps.allocation) };
  }

  async #changedSshPort(
    tx: Repositories,
    machine: Machine,
    { sshPort }: UpdateRequest,
    busy: ReadonlySet<number>,
    now: Date,
  ) {
    if (sshPort === undefined) return {};
    const { sshPortRange } = this.#deps.allocation;
    return { sshPort: await changeSshPort(tx, machine, sshPort, now.toISOString(), sshPortRange, busy) };
  }

  /** Starts a command in a running machine; see GuestLink.exec. */
  async exec(
    tenant: string,
    idOrName: string,
    request: ExecRequest,
    signal: AbortSignal,
  ): Promise<ExecSession> {
    const { machine, target } = await findAnswering(this.#deps, tenant, idOrName);
    const given = withEnv(request, machine.spec.env);
    return this.#execs.hold(machine.id, () => this.#edges.guest.exec(target, given, signal));
  }

  /** Starts a command in a running machine whose output goes to a file in the guest; see GuestLogged. */
  async execLogged(
    tenant: string,
    idOrName: string,
    request: LoggedRequest,
    signal: AbortSignal,
  ): Promise<LoggedCommand> {
    const { machine, target } = await findAnswering(this.#deps, tenant, idOrName);
    const given = withEnv(request, machine.spec.env);
    const start = () => this.#edges.guest.logged.start(target, given, signal);
    // Nobody waits for a detached one.
    if (given.isDetached) return start();
    return this.#execs.holdAs<LoggedEvent, LoggedCommand>(machine.id, start, (command, iterate) => ({
      pid: command.pid,
      logPath: command.logPath,
      letGo: () => command.letGo(),
      [Symbol.asyncIterator]: iterate,
    }));
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

  /** What is wrong, or was wrong, with the link to the guest of a machine that is up; null: nothing. */
  linkTrouble({ state, incarnation }: Machine): GuestLinkState | null {
    if (!isUp(state) || incarnation === null) return null;
    const link = this.#edges.guest.linkState(incarnation);
    return link?.reason == null ? null : link;
  }

  /** The machine's network as it is now. */
  networkOf(machine: Machine): NetworkView {
    return this.#deps.network.view(machine);
  }

  /** Whether its SSH port is open; null: it has none. */
  sshPortOf(machine: Machine): SshPortState | null {
    return this.#deps.sshPorts.stateOf(machine);
  }

  /** What went through its network; see `NetworkService.measure`. */
  networkUsage(machine: Machine, signal: AbortSignal): Promise<NetworkUsage | null> {
    return this.#deps.network.measure(machine, signal);
  }

  /** What the machine has used since its latest start; see `MachineUsage`. */
  measure(machine: Machine, signal: AbortSignal): Promise<MachineUsage> {
    return measureUsage(this.#edges, machine, signal);
  }

  /** Ends all streams. Operations continue; see Supervisor.close. */
  close(): void {
    this.#consoles.close();
  }
}

/** The command's own variables take precedence. */
function withEnv<Request extends Pick<ExecRequest, 'env'>>(
  request: Request,
  env: Readonly<Record<string, string>>,
): Request {
  return Object.keys(env).length === 0 ? request : { ...request, env: { ...env, ...request.env } };
}
