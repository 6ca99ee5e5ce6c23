/** The use cases of snapshots and forks, for tenants on this host. Called by every dialect that has the nouns. */
import { shortId } from '../../lib/ids.ts';
import { AppError } from '../errors.ts';
import type { MachineActions } from '../machines/actions.ts';
import { type Capacity, findShortage } from '../machines/capacity.ts';
import type { Asker, MachineCreation, MachinePlan } from '../machines/creation.ts';
import { findMachine, idOrNameIn, stateConflict } from '../machines/lookup.ts';
import type { Machine } from '../machines/machine.ts';
import type { MachineOperations } from '../machines/machine-operations.ts';
import { checkName } from '../machines/names.ts';
import type { MachineService } from '../machines/service.ts';
import { decide } from '../machines/states.ts';
import type { CloneParams } from '../machines/steps/clone.ts';
import type { Edges } from '../machines/steps/context.ts';
import { suspendableOf } from '../machines/steps/suspend.ts';
import { isUp } from '../machines/usage.ts';
import type { Operation } from '../operations/operation.ts';
import type { OperationRunner } from '../operations/runner.ts';
import type { Repositories, SnapshotPage, Store } from '../ports/store.ts';
import { growthOf, requireQuota, sizeOf, sumOf } from '../quotas/admission.ts';
import type { QuotaLimits } from '../quotas/quota.ts';
import { findSnapshot, lockOfSnapshot, requireOnHost, requireReady } from './find.ts';
import type { SnapshotParams, snapshotDefinitions } from './operations.ts';
import type { Snapshot } from './snapshot.ts';

/** Limit per tenant; a list shows all of them in ten pages. */
export const snapshotsMax = 1_000;

/** A machine has as many snapshots as the host allows for one. */
export class SnapshotsExceeded extends AppError {
  readonly used: number;
  readonly limit: number;

  constructor(machine: string, used: number, limit: number) {
    super(
      'quota',
      `machine '${machine}' has ${used} snapshots, and this host keeps ${limit} of each machine`,
      {
        hint: 'Delete snapshots that are no longer used, or keep only the newest ones (keep).',
        details: { resource: 'snapshots', used, requested: 1, limit },
      },
    );
    this.used = used;
    this.limit = limit;
  }
}

/** Machines that one request makes. */
export const forksMax = 100;
const labelsMax = 64;

export interface NewSnapshot {
  /** Absent: a name is made up. */
  readonly name?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Absent: with the memory if the machine has any. */
  readonly memory?: boolean | undefined;
  /** Afterwards only this many of the machine's newest snapshots are kept. Absent: all. */
  readonly keep?: number | undefined;
}

export interface ForkRequest {
  readonly count: number;
  /** Names are this, a hyphen and a number. Absent: the machine's name. */
  readonly name?: string | undefined;
  /** One for each; instead of `name`. */
  readonly names?: readonly string[] | undefined;
  /** Absent: the machine's. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Whether to start them. Default: yes. */
  readonly start?: boolean | undefined;
}

export interface ForkOutcome {
  readonly name: string;
  /** Null when it could not be made. */
  readonly machine: Machine | null;
  /** Why it was not made, or not started. */
  readonly problem: AppError | null;
}

export interface SnapshotServiceDeps {
  readonly store: Store;
  readonly edges: Edges;
  readonly runner: OperationRunner;
  readonly machineOperations: MachineOperations;
  readonly actions: MachineActions;
  readonly creation: MachineCreation;
  readonly machines: Pick<MachineService, 'start'>;
  readonly capacity: Capacity;
  readonly quotas: QuotaLimits;
  /** Limit of each machine; null: none but the tenant's. */
  readonly perMachine: number | null;
  readonly definitions: ReturnType<typeof snapshotDefinitions>;
}

export class SnapshotService {
  readonly #deps: SnapshotServiceDeps;

  constructor(deps: SnapshotServiceDeps) {
    this.#deps = deps;
  }

  /**
   * Takes a snapshot. A running machine goes on. Raises `not_found`, `invalid`, `conflict` (name taken, or the machine's state
   * forbids it), `quota`, `unsupported` (no memory to save), `exhausted`. When the signal aborts meanwhile, nothing is left.
   */
  async create(
    tenant: string,
    machineIdOrName: string,
    request: NewSnapshot,
    signal?: AbortSignal,
  ): Promise<Snapshot> {
    checkRequest(request);
    const snapshot = await this.#take(tenant, machineIdOrName, request, false, signal);
    if (request.keep !== undefined) await this.#prune(snapshot, request.keep);
    return snapshot;
  }

  /** Newest first. `machine`: an id, also of a machine that is gone, or a name. Raises `not_found`. */
  async list(
    tenant: string,
    page: { readonly machine?: string | undefined; readonly limit: number; readonly offset: number },
  ): Promise<SnapshotPage> {
    const { machine, limit, offset } = page;
    const { store } = this.#deps;
    if (machine === undefined) return store.snapshots.list({ tenant, limit, offset });
    const machineId = (await store.machines.find(tenant, idOrNameIn(machine)))?.id ?? idOrNameIn(machine);
    const found = await store.snapshots.list({ tenant, machineId, limit, offset });
    if (found.total === 0) await this.#requireKnown(tenant, machine);
    return found;
  }

  /** By id, else by name. Raises `not_found`. */
  get(tenant: string, idOrName: string): Promise<Snapshot> {
    return findSnapshot(this.#deps.store, tenant, idOrName);
  }

  /** Machines made from it stay as they are. Raises `not_found`, and `conflict` while a machine is made from it. */
  async delete(tenant: string, idOrName: string): Promise<void> {
    await this.#delete(async (tx) => {
      const snapshot = await findSnapshot(tx, tenant, idOrName);
      if (snapshot.state === 'creating') requireReady(snapshot);
      return snapshot;
    });
  }

  /**
   * Sets the machine that it was taken of back: its present state is lost. With memory, the machine is started unless
   * `start` is false. Raises `not_found` (also for a machine that is gone), `conflict` when the snapshot is damaged or the
   * machine is busy; then the machine is untouched.
   */
  async restore(
    tenant: string,
    idOrName: string,
    { start }: { readonly start?: boolean | undefined } = {},
    signal?: AbortSignal,
  ): Promise<Machine> {
    const { edges, actions, machineOperations, machines } = this.#deps;
    const snapshot = await this.get(tenant, idOrName);
    requireReady(snapshot);
    requireOnHost(snapshot, machineOperations.owner.hostId);
    // Before anything is changed.
    await edges.snapshots.verify(snapshot.id, signal ?? new AbortController().signal);
    const params: CloneParams = {
      snapshotId: snapshot.id,
      machineId: snapshot.machineId,
      hasMemory: snapshot.hasMemory,
    };
    const intend = async (machine: Machine, tx: Repositories) => {
      await tx.locks.share(lockOfSnapshot(snapshot.id));
      requireReady(await findSnapshot(tx, tenant, snapshot.id));
      const { vcpuCount, memoryMib, diskMib } = snapshot.spec;
      const spec = { ...machine.spec, vcpuCount, memoryMib, diskMib, snapshot: snapshot.id };
      await requireQuota(tx, this.#admission(tenant, null), growthOf(machine.spec, spec));
      await tx.machines.patch(machine.id, machine.incarnation, { spec }, edges.clock.now().toISOString());
      return {
        desired: 'stopped' as const,
        params: { ...params },
        patch: { imageDigest: snapshot.imageDigest },
      };
    };
    const { machine } = await actions.act({
      action: 'revert',
      tenant,
      idOrName: snapshot.machineId,
      intend,
    });
    if (!(start ?? snapshot.hasMemory)) return machine;
    return (await machines.start(tenant, machine.id, { isIdempotent: true, signal })).machine;
  }

  /**
   * Makes machines that go on from where this one is, each with an identity of its own. All are admitted, or none: raises
   * `invalid`, `not_found`, `conflict`, `quota` and `exhausted` before anything is left. Afterwards each has its own outcome.
   */
  async fork(
    tenant: string,
    machineIdOrName: string,
    request: ForkRequest,
    asker: Asker,
    signal?: AbortSignal,
  ): Promise<readonly ForkOutcome[]> {
    const { store, creation, machineOperations, machines } = this.#deps;
    const machine = await findMachine(store, tenant, machineIdOrName);
    const names = namesOf(machine, request);
    const isStarted = request.start ?? true;
    await this.#admit(machine, names, asker, isStarted);
    const snapshot = await this.#take(tenant, machine.id, {}, true, signal);
    try {
      const plans: MachinePlan[] = [];
      for (const name of names) {
        const labels = request.labels ?? machine.spec.labels;
        plans.push(await creation.plan(tenant, { name, labels, sshPort: null }, snapshot));
      }
      const operations = await this.#recordAll(tenant, plans, asker);
      const made = operations.map(async (operation, index): Promise<ForkOutcome> => {
        const name = names[index] ?? '';
        let child: Machine | null = null;
        try {
          const definition = machineOperations.definitionOf(operation.kind);
          if (!definition) throw new Error(`no definition of ${operation.kind}`);
          child = await machineOperations.run(operation, definition);
          if (isStarted) child = (await machines.start(tenant, child.id, { isIdempotent: true })).machine;
          return { name, machine: child, problem: null };
        } catch (error) {
          const left = child && (await store.machines.get(child.id));
          return { name, machine: left, problem: asProblem(error) };
        }
      });
      return await Promise.all(made);
    } finally {
      // A fork that has failed says why; what is left of this goes at the latest when the daemon starts again.
      await this.#delete(async (tx) => (await tx.snapshots.get(snapshot.id)) ?? snapshot).catch(
        (error: unknown) =>
          this.#deps.edges.log.warn({ snapshot: snapshot.id, err: error }, 'snapshot of a fork not removed'),
      );
    }
  }

  /** Finishes what was to be deleted when the daemon ended, and removes files that no snapshot has. Called at the start. */
  async collect(signal: AbortSignal): Promise<void> {
    const { store, edges, machineOperations } = this.#deps;
    const ids = await store.snapshots.ids(machineOperations.owner.hostId);
    for (const id of ids) {
      const snapshot = await store.snapshots.get(id).catch(() => null);
      if (snapshot?.state !== 'deleting') continue;
      if ((await store.operations.openOn({ kind: 'snapshot', id })) !== null) continue;
      // Machines that are still being made from it keep it until the next time.
      await this.#delete(async () => snapshot).catch((error: unknown) =>
        edges.log.warn({ snapshot: id, err: error }, 'snapshot not removed yet'),
      );
    }
    const known = new Set(ids);
    for (const id of await edges.snapshots.list(signal)) {
      if (known.has(id) || (await store.snapshots.get(id)) !== null) continue;
      edges.log.warn({ snapshot: id }, 'files of an unknown snapshot removed');
      await edges.snapshots.remove(id, signal);
    }
  }

  async #take(
    tenant: string,
    idOrName: string,
    request: NewSnapshot,
    isTemporary: boolean,
    signal?: AbortSignal,
  ): Promise<Snapshot> {
    const { runner, definitions, edges } = this.#deps;
    const definition = definitions['snapshot.create'];
    signal?.throwIfAborted();
    const begun = await runner.begin(async (tx) => {
      const machine = await findMachine(tx, tenant, idOrName);
      const snapshot = this.#newSnapshot(machine, request);
      if (!isTemporary) await this.#requireRoom(tx, machine, request.keep);
      await tx.snapshots.insert(snapshot);
      const params: SnapshotParams = { hasMemory: snapshot.hasMemory, isTemporary };
      const operation = runner.newOperation({
        ...{ id: shortId(), tenant, kind: 'snapshot.create' as const, params: { ...params } },
        subjects: [
          { kind: 'snapshot', id: snapshot.id },
          { kind: 'machine', id: machine.id },
        ],
      });
      await tx.operations.insert(operation);
      return { operation };
    });
    const cancel = () =>
      void runner
        .cancel(begun.operation.id)
        .catch((error: unknown) =>
          edges.log.warn({ operation: begun.operation.id, err: error }, 'not cancelled'),
        );
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      return (await runner.run(begun.operation, definition)).snapshot;
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  }

  /** Raises what refuses another snapshot of this machine. Reserves nothing. */
  async requireRoom(machine: Machine): Promise<void> {
    await this.#requireRoom(this.#deps.store, machine);
  }

  /** What `keep` removes afterwards does not count. */
  async #requireRoom(tx: Repositories, { id, tenant, spec }: Machine, keep = Infinity): Promise<void> {
    if ((await tx.snapshots.count(tenant)) >= snapshotsMax)
      throw new AppError('conflict', `there are ${snapshotsMax} snapshots already`, {
        hint: 'Delete snapshots that are no longer used.',
      });
    const { perMachine } = this.#deps;
    if (perMachine === null || keep <= perMachine) return;
    const { total } = await tx.snapshots.list({ tenant, machineId: id, limit: 1, offset: 0 });
    if (total >= perMachine) throw new SnapshotsExceeded(spec.name, total, perMachine);
  }

  #newSnapshot(machine: Machine, { name, labels = {}, memory }: NewSnapshot): Snapshot {
    const { edges, machineOperations } = this.#deps;
    machineOperations.requireHere(machine);
    if (decide('snapshot', machine.state).verdict !== 'accept') throw stateConflict('snapshot', machine);
    const isThere = isUp(machine.state) || machine.state === 'suspended';
    if (memory === true && !isThere)
      throw new AppError('conflict', `a machine that is ${machine.state} has no memory to save`, {
        hint: 'Start it first, or take a snapshot of its disk alone.',
      });
    const hasMemory = memory ?? isThere;
    if (isUp(machine.state)) suspendableOf(edges, machine);
    const id = shortId();
    const at = edges.clock.now().toISOString();
    return {
      id,
      hostId: machine.hostId,
      tenant: machine.tenant,
      name: name ?? `snap-${id}`,
      state: 'creating',
      machineId: machine.id,
      parentId: machine.spec.snapshot,
      hasMemory,
      spec: machine.spec,
      imageDigest: machine.imageDigest,
      labels,
      sizeBytes: null,
      createdAt: at,
      updatedAt: at,
    };
  }

  async #delete(find: (tx: Repositories) => Promise<Snapshot>): Promise<void> {
    const { runner, definitions, machineOperations, edges } = this.#deps;
    const { operation } = await runner.begin(async (tx) => {
      const snapshot = await find(tx);
      requireOnHost(snapshot, machineOperations.owner.hostId);
      await tx.locks.hold(lockOfSnapshot(snapshot.id));
      await this.#requireUnused(tx, snapshot);
      const at = edges.clock.now().toISOString();
      await tx.snapshots.patch(snapshot.id, { state: 'deleting' }, at);
      const operation = runner.newOperation({
        ...{ id: shortId(), tenant: snapshot.tenant, kind: 'snapshot.delete' as const, params: {} },
        subjects: [{ kind: 'snapshot', id: snapshot.id }],
      });
      await tx.operations.insert(operation);
      return { operation };
    });
    await runner.run(operation, definitions['snapshot.delete']);
  }

  async #requireUnused(tx: Repositories, { id, name, hostId }: Snapshot): Promise<void> {
    const open = await tx.operations.open(hostId);
    if (!open.some(({ params }) => params.snapshotId === id)) return;
    throw new AppError('conflict', `snapshot '${name}' is in use: a machine is being made from it`, {
      hint: 'Try again in a moment.',
      isPassing: true,
    });
  }

  async #prune({ tenant, machineId }: Snapshot, keep: number): Promise<void> {
    const page = { tenant, machineId, limit: snapshotsMax, offset: keep };
    const { snapshots } = await this.#deps.store.snapshots.list(page);
    for (const { id, state } of snapshots) if (state === 'ready') await this.delete(tenant, id);
  }

  async #requireKnown(tenant: string, machine: string): Promise<void> {
    await findMachine(this.#deps.store, tenant, machine);
  }

  #admission(tenant: string, tier: Asker['tier']) {
    return { tenant, tier, defaults: this.#deps.quotas };
  }

  /** Raises what would refuse the machines later, before the guest is touched. Reserves nothing. */
  async #admit(
    machine: Machine,
    names: readonly string[],
    { tier }: Asker,
    isStarted: boolean,
  ): Promise<void> {
    const { store, capacity } = this.#deps;
    const { tenant, spec } = machine;
    for (const name of names) {
      checkName(name);
      if ((await store.machines.find(tenant, name)) === null) continue;
      throw new AppError('conflict', `Machine with name '${name}' already exists`, {
        hint: 'Choose another name, or delete that machine first.',
      });
    }
    await store.transaction(async (tx) => {
      await requireQuota(tx, this.#admission(tenant, tier), sumOf(names.map(() => sizeOf(spec))));
      if (!isStarted) return;
      const demand = { hostId: machine.hostId, id: '', spec: { memoryMib: spec.memoryMib * names.length } };
      const shortage = await findShortage(tx, demand, capacity);
      if (shortage) throw shortage;
    });
  }

  async #recordAll(tenant: string, plans: readonly MachinePlan[], asker: Asker) {
    const { creation, runner } = this.#deps;
    const recorded: { all: readonly Operation[] } = { all: [] };
    await runner.begin(async (tx) => {
      recorded.all = await creation.record(tx, tenant, plans, asker);
      return { operation: recorded.all[0] as Operation };
    });
    return recorded.all;
  }
}

function checkRequest({ name, labels = {}, keep }: NewSnapshot): void {
  if (name !== undefined) checkName(name);
  if (Object.keys(labels).length > labelsMax)
    throw new AppError('invalid', `a snapshot has at most ${labelsMax} labels`);
  if (keep !== undefined && !(Number.isSafeInteger(keep) && keep >= 1 && keep <= snapshotsMax))
    throw new AppError('invalid', `the number of snapshots to keep must be from 1 to ${snapshotsMax}`);
}

function namesOf(machine: Machine, { count, name, names }: ForkRequest): readonly string[] {
  if (!Number.isSafeInteger(count) || count < 1 || count > forksMax)
    throw new AppError('invalid', `the number of forks must be from 1 to ${forksMax}`);
  if (names !== undefined && names.length !== count)
    throw new AppError('invalid', `there are ${names.length} names for ${count} forks`, {
      hint: 'Give one name for each, or a prefix for all.',
    });
  const prefix = name ?? machine.spec.name;
  const all = names ?? Array.from({ length: count }, (_, index) => `${prefix}-${index + 1}`);
  if (new Set(all).size !== all.length)
    throw new AppError('invalid', 'two forks would have the same name', { hint: 'Choose different names.' });
  return all;
}

function asProblem(error: unknown): AppError {
  return error instanceof AppError ? error : new AppError('internal', 'internal error', { cause: error });
}
