/**
 * How a machine comes into being: `plan` checks a request and resolves its image, `record` writes the machine and
 * its operation in the caller's transaction. Used by the use cases of machines and of environments, which record
 * several machines at once. Starts nothing.
 */
import { shortId } from '../../lib/ids.ts';
import { AppError } from '../errors.ts';
import type { ImageResolver } from '../images/resolver.ts';
import { requireKept } from '../images/subject.ts';
import { type AllocationSettings, allocateNetwork, inspectPorts } from '../network/allocation.ts';
import { type NetworkPlan, planNetwork } from '../network/requests.ts';
import type { Operation } from '../operations/operation.ts';
import type { Image } from '../ports/images.ts';
import type { BusyPorts } from '../ports/network.ts';
import type { Repositories, Store } from '../ports/store.ts';
import { type Admission, requireQuota, sizeOf, sumOf } from '../quotas/admission.ts';
import type { QuotaLimits } from '../quotas/quota.ts';
import { findSnapshot, lockOfSnapshot, requireOnHost, requireReady } from '../snapshots/find.ts';
import type { Snapshot } from '../snapshots/snapshot.ts';
import { applySnapshot } from '../snapshots/source.ts';
import { guestTasks } from '../ssh/machine-keys.ts';
import { allocateSshPort, inspectSshPorts, type SshPortRequest } from '../ssh/machine-ports.ts';
import { findTemplate } from '../templates/find.ts';
import { applyTemplate } from '../templates/template.ts';
import { requireRestAction } from './idle-policy.ts';
import { newLifetime } from './lifetime.ts';
import type { Machine } from './machine.ts';
import type { MachineOperations } from './machine-operations.ts';
import { type CreateRequest, type MachineDefaults, makeSpec, type SpecPlan } from './spec.ts';
import type { CloneParams } from './steps/clone.ts';
import { type Edges, lookTimeoutMs } from './steps/context.ts';

export interface MachineCreationDeps {
  readonly store: Store;
  readonly edges: Edges;
  readonly machineOperations: MachineOperations;
  readonly resolver: ImageResolver;
  readonly defaults: MachineDefaults;
  /** For tenants without a quota of their own. */
  readonly quotas: QuotaLimits;
  readonly allocation: AllocationSettings;
}

/** The tier of the key that asks; dialects pass the caller. */
export type Asker = Pick<Admission, 'tier'>;
export const anyone: Asker = { tier: null };

/** A checked request. */
export interface MachinePlan extends Pick<Machine, 'tenant' | 'expiresAt' | 'remainingMs'> {
  readonly spec: SpecPlan;
  readonly network: NetworkPlan;
  readonly sshPort: SshPortRequest;
  readonly busyPorts: BusyPorts;
  readonly busySshPorts: ReadonlySet<number>;
  readonly image: Image;
  /** What it is made from; null: the image alone. */
  readonly snapshot: Snapshot | null;
}

/** The range of `vmm_uid` allocations: fits between two uid bases that are 65,536 apart. */
export const vmmUidMax = 60_000;

export class MachineCreation {
  readonly #deps: MachineCreationDeps;

  constructor(deps: MachineCreationDeps) {
    this.#deps = deps;
  }

  /** What a request gets for what it leaves out. */
  get defaults(): MachineDefaults {
    return this.#deps.defaults;
  }

  /**
   * Raises `invalid`, `not_found` (image, template, snapshot), `conflict` (a snapshot that is not ready). `from`: the
   * snapshot to make it from, whatever its state.
   */
  async plan(tenant: string, asked: CreateRequest, from?: Snapshot): Promise<MachinePlan> {
    const { defaults, edges, resolver, store } = this.#deps;
    const snapshot = from ?? (await this.#sourceOf(tenant, asked));
    const template = asked.template === undefined ? null : await findTemplate(store, tenant, asked.template);
    const filled = template === null ? asked : applyTemplate(asked, template);
    const request = snapshot === null ? filled : applySnapshot(filled, snapshot);
    const engine = request.engine ?? defaults.engine;
    const driver = edges.engines.get(engine);
    if (!driver) {
      throw new AppError('invalid', `this host has no engine '${engine}'`, {
        hint: `Use one of: ${[...edges.engines.keys()].join(', ')}.`,
      });
    }
    requireRestAction(request.idle?.action, driver);
    requireRestAction(request.onExpire, driver);
    const reference = request.image ?? defaults.image;
    const look = AbortSignal.timeout(lookTimeoutMs);
    const image =
      snapshot === null
        ? await resolver.resolve(tenant, reference, look)
        : ((await edges.images.find(snapshot.imageDigest, look)) ?? imageOf(snapshot));
    const made = { template: template?.id ?? null, snapshot: snapshot?.id ?? null };
    const spec = makeSpec(request, defaults, image, driver.capabilities, made);
    const network = planNetwork(request.network ?? {}, this.#deps.allocation.facts);
    const busyPorts = await inspectPorts(edges.network, network.ports, AbortSignal.timeout(lookTimeoutMs));
    const { sshPort = null } = request;
    const busySshPorts = await inspectSshPorts(edges.network, sshPort, AbortSignal.timeout(lookTimeoutMs));
    return {
      tenant,
      spec,
      network,
      sshPort,
      busyPorts,
      busySshPorts,
      image,
      snapshot,
      ...newLifetime(spec.lifetimeSeconds, edges.clock.now()),
    };
  }

  async #sourceOf(tenant: string, { source, template }: CreateRequest): Promise<Snapshot | null> {
    if (source === undefined) return null;
    if (template !== undefined)
      throw new AppError('invalid', 'a machine is made from a template or from a snapshot, not from both');
    const { store, machineOperations } = this.#deps;
    const snapshot = await findSnapshot(store, tenant, source.snapshot);
    requireReady(snapshot);
    requireOnHost(snapshot, machineOperations.owner.hostId);
    return snapshot;
  }

  /**
   * Inserts machines of one tenant and their `machine.create` operations, which the caller runs after the commit. Raises
   * `conflict` when a name, an address or a port is taken or an image is being deleted, `exhausted` when the host has no slot left, `quota`.
   */
  async record(
    tx: Repositories,
    tenant: string,
    plans: readonly MachinePlan[],
    { tier }: Asker,
    environmentId: string | null = null,
  ): Promise<readonly Operation[]> {
    const admission = { tenant, tier, defaults: this.#deps.quotas };
    await requireQuota(tx, admission, sumOf(plans.map(({ spec }) => sizeOf(spec))));
    const operations: Operation[] = [];
    for (const plan of plans) operations.push(await this.#insert(tx, plan, environmentId));
    return operations;
  }

  async #insert(
    tx: Repositories,
    {
      image,
      snapshot,
      network: networkPlan,
      sshPort: askedPort,
      busyPorts,
      busySshPorts,
      ...planned
    }: MachinePlan,
    environmentId: string | null,
  ): Promise<Operation> {
    const { edges, machineOperations } = this.#deps;
    const { hostId } = machineOperations.owner;
    if (snapshot === null) await requireKept(tx, hostId, image);
    else await requireUnchanged(tx, snapshot);
    const id = shortId();
    const at = edges.clock.now().toISOString();
    const subject = { id, tenant: planned.tenant };
    const operation =
      snapshot === null
        ? machineOperations.newOperation('machine.create', subject, {})
        : machineOperations.newOperation('machine.clone', subject, { ...cloneParams(snapshot) });
    const owner = { kind: 'machine' as const, id };
    const slot = await tx.allocations.take({ hostId, kind: 'vmm_uid', owner, min: 1, max: vmmUidMax, at });
    const network = await allocateNetwork(
      tx,
      networkPlan,
      { hostId, owner, at },
      this.#deps.allocation,
      busyPorts,
    );
    const { sshPortRange } = this.#deps.allocation;
    const sshOwner = { hostId, owner, at };
    const sshPort = await allocateSshPort(tx, askedPort, sshOwner, sshPortRange, busySshPorts);
    await tx.machines.insert({
      ...planned,
      spec: { ...planned.spec, network, sshPort },
      id,
      hostId,
      environmentId,
      imageDigest: image.digest,
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
      idleAt: null,
      savedMemory: null,
      provisioning: hasTasks(planned.spec) ? { state: 'pending', message: null, at } : null,
    });
    await tx.operations.insert(operation);
    return operation;
  }
}

/** For an image to which no name refers any more; its content is kept for the snapshot. */
function imageOf({ spec, imageDigest, createdAt }: Snapshot): Image {
  return {
    name: spec.image,
    digest: imageDigest,
    rootMib: 0,
    memoryMibMin: 0,
    createdAt,
    tenant: null,
    isBuiltIn: false,
    kernel: 'host',
    kernelRelease: null,
  };
}

/** In the transaction that records the machine: from now on the snapshot is kept until the machine is made. */
async function requireUnchanged(tx: Repositories, { id, state, name }: Snapshot): Promise<void> {
  await tx.locks.share(lockOfSnapshot(id));
  const now = await tx.snapshots.get(id);
  if (now?.state === state) return;
  throw new AppError('conflict', `snapshot '${name}' is being deleted`, { hint: 'Use another snapshot.' });
}

function cloneParams({ id, machineId, hasMemory }: Snapshot): CloneParams {
  return { snapshotId: id, machineId, hasMemory };
}

/** Whether its guest has something to do once. */
function hasTasks({ userData, sshKeys }: SpecPlan): boolean {
  return guestTasks(userData, sshKeys) !== null;
}
