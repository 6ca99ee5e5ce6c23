/**
 * The use cases of machines' networks, for tenants on this host: published ports, and what the policy has refused.
 * Each change is recorded in one transaction and then put in force; when the host refuses, the answer says so and the
 * reconciler repeats it.
 */
import { AppError, CommitUnknownError } from '../errors.ts';
import { findMachine, stateConflict } from '../machines/lookup.ts';
import type { Machine } from '../machines/machine.ts';
import type { MachineOperations } from '../machines/machine-operations.ts';
import { type Edges, lookTimeoutMs } from '../machines/steps/context.ts';
import { isUp } from '../machines/usage.ts';
import type { DeniedEgress, NetworkFacts, NetworkUsage, PublishedPort } from '../ports/network.ts';
import type { Repositories, Store } from '../ports/store.ts';
import { type AllocationSettings, allocatePort, inspectPorts, portKind } from './allocation.ts';
import { attachmentOf } from './attachment.ts';
import type { ReportedLease } from './leases.ts';
import { type MachineNetwork, recordedAddress } from './machine-network.ts';
import type { MachineNetworks } from './networks.ts';
import { readdress } from './readdress.ts';
import { checkPort, noPortsOnBridge, type PortRequest, portsMax, tooManyPorts } from './requests.ts';

export interface NetworkServiceDeps {
  readonly store: Store;
  readonly edges: Edges;
  readonly machineOperations: MachineOperations;
  readonly networks: MachineNetworks;
  readonly allocation: AllocationSettings;
  /** Called when the host has refused a recorded change. */
  readonly onBehind: () => void;
}

/** A machine's network as shown. */
export interface NetworkView {
  readonly facts: NetworkFacts;
  readonly network: MachineNetwork;
  readonly mac: string | null;
  /** Its address, whoever gave it; null: it has none, or none that is known. */
  readonly ipv4: string | null;
  readonly ipv6: string | null;
  readonly gateway: string | null;
  /** What the guest says that a DHCP server has given it; null: nothing. */
  readonly reported: ReportedLease | null;
  /** What is not as it should be; null: nothing. */
  readonly note: string | null;
}

/** Whether a recorded change is in force on the host; when it is not, it is repeated. */
export interface Changed {
  readonly machine: Machine;
  readonly isInForce: boolean;
}

export interface PortChanged extends Changed {
  readonly port: PublishedPort;
}

export class NetworkService {
  readonly #deps: NetworkServiceDeps;

  constructor(deps: NetworkServiceDeps) {
    this.#deps = deps;
  }

  get facts(): NetworkFacts {
    return this.#deps.networks.facts;
  }

  /**
   * Before the daemon listens, and before it takes up operations: puts exactly the recorded rules in force. Raises
   * the host's errors.
   */
  async restore(): Promise<void> {
    const { networks, machineOperations, store, edges } = this.#deps;
    const { hostId } = machineOperations.owner;
    const { clock, log } = edges;
    await readdress({ store, hostId, facts: networks.facts, log, now: () => clock.now() });
    await networks.restore(hostId, AbortSignal.timeout(restoreTimeoutMs));
  }

  view(machine: Machine): NetworkView {
    const { edges, networks } = this.#deps;
    const { network } = machine.spec;
    const attachment = attachmentOf(machine, networks.facts);
    const guest = attachment === null ? null : edges.network.guestNetwork(attachment);
    const reported = isUp(machine.state) ? networks.leaseOf(machine) : null;
    return {
      facts: networks.facts,
      network,
      mac: attachment?.mac ?? null,
      ipv4: recordedAddress(network) ?? reported?.address ?? null,
      ipv6: attachment?.kind === 'nat' ? attachment.ipv6 : null,
      gateway: guest?.gateways[0] ?? reported?.gateway ?? null,
      reported,
      note: isUp(machine.state) ? networks.noteOf(machine) : null,
    };
  }

  /**
   * Makes a port of the host lead to one of the guest, at once or at the next start. Repeated for the same port of
   * the guest and certain port of the host, it changes nothing. Raises `invalid`, `unsupported`, `conflict` (the
   * machine has no network, or the host's port is taken), `exhausted`.
   */
  async publish(tenant: string, idOrName: string, request: PortRequest): Promise<PortChanged> {
    const { allocation } = this.#deps;
    checkPort(request, allocation.facts);
    const busy = await inspectPorts(this.#deps.edges.network, [request], AbortSignal.timeout(lookTimeoutMs));
    const published: PublishedPort[] = [];
    const changed = await this.#change(tenant, idOrName, async (tx, machine, at) => {
      const { network } = machine.spec;
      if (network.mode === 'none') throw withoutNetwork(machine);
      if (network.mode === 'bridge') throw noPortsOnBridge();
      const same = network.ports.find((port) => isSamePort(port, request));
      published.splice(0, 1);
      if (same !== undefined) {
        published.push(same);
        return network;
      }
      if (network.ports.length >= portsMax) throw tooManyPorts();
      const owner = { hostId: machine.hostId, owner: { kind: 'machine' as const, id: machine.id }, at };
      const port = await allocatePort(tx, request, owner, allocation, busy);
      published.push(port);
      return { ...network, ports: [...network.ports, port] };
    });
    const [port] = published;
    if (port === undefined) throw new AppError('internal', 'no port was published');
    return { ...changed, port };
  }

  /** Frees the host's port. Raises `not_found` when the machine has not published it. */
  async unpublish(
    tenant: string,
    idOrName: string,
    { protocol, hostPort }: Pick<PublishedPort, 'protocol' | 'hostPort'>,
  ): Promise<PortChanged> {
    const withdrawn: PublishedPort[] = [];
    const changed = await this.#change(tenant, idOrName, async (tx, machine) => {
      const { network } = machine.spec;
      const port = network.ports.find((each) => each.protocol === protocol && each.hostPort === hostPort);
      if (port === undefined)
        throw new AppError(
          'not_found',
          `machine ${machine.spec.name} has not published ${protocol} port ${hostPort}`,
          { hint: 'List its ports to see which it has published.' },
        );
      withdrawn.splice(0, 1, port);
      const owner = { kind: 'machine' as const, id: machine.id };
      await tx.allocations.release(machine.hostId, owner, portKind(protocol), hostPort);
      return { ...network, ports: network.ports.filter((each) => each !== port) };
    });
    return { ...changed, port: withdrawn[0] as PublishedPort };
  }

  /** Puts the recorded rules of a machine in force; for changes that other use cases have recorded. */
  async apply(machine: Machine): Promise<boolean> {
    const { networks, onBehind } = this.#deps;
    const isInForce = await networks.apply(machine, AbortSignal.timeout(lookTimeoutMs));
    if (!isInForce) onBehind();
    return isInForce;
  }

  /**
   * For transactions that change a machine's network: when the answer of the commit is lost, the rules in force may be
   * older than the record, and the reconciler repeats what is recorded. `idOf` is asked afterwards.
   */
  async following<T>(idOf: () => string | null, change: () => Promise<T>): Promise<T> {
    try {
      return await change();
    } catch (error) {
      const machineId = idOf();
      if (error instanceof CommitUnknownError && machineId !== null) {
        this.#deps.networks.doubt(machineId);
        this.#deps.onBehind();
      }
      throw error;
    }
  }

  /** Packets that the machine's policy has refused, newest first. */
  async denied(machine: Machine, signal: AbortSignal): Promise<readonly DeniedEgress[]> {
    this.#deps.machineOperations.requireHere(machine);
    return this.#deps.edges.network.denied(machine.id, limited(signal));
  }

  /** Since the machine's latest start; null when it is not up, has no network or is not measured. */
  async measure(machine: Machine, signal: AbortSignal): Promise<NetworkUsage | null> {
    if (!isUp(machine.state) || machine.spec.network.mode === 'none') return null;
    return this.#deps.edges.network.measure(machine.id, limited(signal));
  }

  async #change(
    tenant: string,
    idOrName: string,
    decide: (tx: Repositories, machine: Machine, at: string) => Promise<MachineNetwork>,
  ): Promise<Changed> {
    const { store, edges, machineOperations } = this.#deps;
    let machineId: string | null = null;
    const change = () =>
      store.transaction(async (tx) => {
        const found = await findMachine(tx, tenant, idOrName);
        machineId = found.id;
        machineOperations.requireHere(found);
        if (found.state === 'deleting' || found.state === 'deleted') throw stateConflict('update', found);
        const at = edges.clock.now().toISOString();
        const network = await decide(tx, found, at);
        if (network === found.spec.network) return found;
        await tx.machines.patch(found.id, found.incarnation, { spec: { ...found.spec, network } }, at);
        return findMachine(tx, tenant, found.id);
      });
    const machine = await this.following(() => machineId, change);
    return { machine, isInForce: await this.apply(machine) };
  }
}

/** The driver may have to make hundreds of devices. */
const restoreTimeoutMs = 120_000;

function limited(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(lookTimeoutMs)]);
}

/** A request for any port of the host is never the same as an earlier one. */
function isSamePort(port: PublishedPort, request: PortRequest): boolean {
  const { protocol, bind, hostPort, guestPort } = request;
  return (
    port.protocol === protocol &&
    port.hostPort === hostPort &&
    port.guestPort === guestPort &&
    (bind === undefined || bind === port.bind)
  );
}

export function withoutNetwork({ spec }: Pick<Machine, 'spec'>): AppError {
  return new AppError('conflict', `machine ${spec.name} has no network`, {
    hint: "Stop it and change its network's mode to 'nat'; port-forward works without a network.",
  });
}
