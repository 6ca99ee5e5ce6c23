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
import { guestTasks } from '../ssh/machine-keys.ts';
import { allocateSshPort, inspectSshPorts, type SshPortRequest } from '../ssh/machine-ports.ts';
import { findTemplate } from '../templates/find.ts';
import { applyTemplate } from '../templates/template.ts';
import { requireIdleAction } from './idle-policy.ts';
import type { Machine } from './machine.ts';
import type { MachineOperations } from './machine-operations.ts';
import { type CreateRequest, type MachineDefaults, makeSpec, type SpecPlan } from './spec.ts';
import { type Edges, lookTimeoutMs } from './steps/context.ts';
import { expiry } from './update.ts';

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
export interface MachinePlan extends Pick<Machine, 'tenant' | 'expiresAt'> {
  readonly spec: SpecPlan;
  readonly network: NetworkPlan;
  readonly sshPort: SshPortRequest;
  readonly busyPorts: BusyPorts;
  readonly busySshPorts: ReadonlySet<number>;
  readonly image: Image;
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

  /** Raises `invalid`, `not_found` (image, template). */
  async plan(tenant: string, asked: CreateRequest): Promise<MachinePlan> {
    const { defaults, edges, resolver, store } = this.#deps;
    const template = asked.template === undefined ? null : await findTemplate(store, tenant, asked.template);
    const request = template === null ? asked : applyTemplate(asked, template);
    const engine = request.engine ?? defaults.engine;
    const driver = edges.engines.get(engine);
    if (!driver) {
      throw new AppError('invalid', `this host has no engine '${engine}'`, {
        hint: `Use one of: ${[...edges.engines.keys()].join(', ')}.`,
      });
    }
    requireIdleAction(request.idle, driver);
    const reference = request.image ?? defaults.image;
    const image = await resolver.resolve(tenant, reference, AbortSignal.timeout(lookTimeoutMs));
    const spec = makeSpec(request, defaults, image, driver.capabilities, {
      template: template?.id ?? null,
      snapshot: null,
    });
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
      expiresAt: expiry(request.lifetimeSeconds, edges.clock.now()),
    };
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
    { image, network: networkPlan, sshPort: askedPort, busyPorts, busySshPorts, ...planned }: MachinePlan,
    environmentId: string | null,
  ): Promise<Operation> {
    const { edges, machineOperations } = this.#deps;
    const { hostId } = machineOperations.owner;
    await requireKept(tx, hostId, image);
    const id = shortId();
    const at = edges.clock.now().toISOString();
    const operation = machineOperations.newOperation('machine.create', { id, tenant: planned.tenant }, {});
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

/** Whether its guest has something to do once. */
function hasTasks({ userData, sshKeys }: SpecPlan): boolean {
  return guestTasks(userData, sshKeys) !== null;
}
