/**
 * Gives machines addresses and ports of this host. Works in the caller's transaction, so that of two callers who ask
 * for the same one only one gets it. They belong to the machine until it is deleted, or gives them up.
 */
import { AppError } from '../errors.ts';
import type { MachineSpec } from '../machines/machine.ts';
import type { BusyPorts, Network, NetworkFacts, PublishedPort } from '../ports/network.ts';
import type { AllocationKind, AllocationRequest, Repositories } from '../ports/store.ts';
import { addressAt, offsetOf, parseRange } from './addresses.ts';
import { allocateLan, allocateRecordedLan } from './lan.ts';
import type { MachineNetwork } from './machine-network.ts';
import { bindDefault, type NetworkPlan, type PortRequest } from './requests.ts';
import { type Owner, takeCertain } from './take.ts';

/** Ports of the host that machines get when they ask for no certain one; inclusive. */
export interface HostPortRange {
  readonly first: number;
  readonly last: number;
}

export const portRangeDefault: HostPortRange = { first: 20_000, last: 29_999 };

export interface AllocationSettings {
  readonly facts: NetworkFacts;
  readonly portRange: HostPortRange;
  /** Ports of the host at which SSH clients enter one machine; null: there is no gateway. */
  readonly sshPortRange: HostPortRange | null;
}

const noPorts: BusyPorts = { tcp: new Set(), udp: new Set() };

/**
 * Before the transaction: which of the host's ports its programs have. Raises `conflict`, `invalid` and `unsupported` when
 * the host would not publish one of these.
 */
export async function inspectPorts(
  network: Pick<Network, 'busyPorts' | 'tryPort'>,
  ports: readonly PortRequest[],
  signal: AbortSignal,
): Promise<BusyPorts> {
  if (ports.length === 0) return noPorts;
  for (const { protocol, bind = bindDefault, hostPort = null } of ports)
    await network.tryPort({ protocol, bind, hostPort }, signal);
  return network.busyPorts(signal);
}

/** Raises `conflict` when the address or a port is taken, `invalid` for an address outside, `exhausted`. */
export async function allocateNetwork(
  tx: Repositories,
  plan: NetworkPlan,
  owner: Owner,
  settings: AllocationSettings,
  busy: BusyPorts,
): Promise<MachineNetwork> {
  if (plan.mode === 'none') return { ...plan, address: null, lan: null, ports: [] };
  if (plan.lan !== null)
    return { ...plan, address: null, lan: await allocateLan(tx, plan.lan, owner), ports: [] };
  const address = await allocateAddress(tx, plan.address, owner, settings.facts);
  const ports: PublishedPort[] = [];
  for (const port of plan.ports) ports.push(await allocatePort(tx, port, owner, settings, busy));
  return { ...plan, address, lan: null, ports };
}

/** `asked`: a certain address; null: the next free one. */
export async function allocateAddress(
  tx: Repositories,
  asked: string | null,
  owner: Owner,
  { ipv4 }: NetworkFacts,
): Promise<string> {
  const range = parseRange(ipv4);
  if (asked === null) {
    const { offsetMin: min, offsetMax: max } = range;
    return addressAt(range, await tx.allocations.take({ ...owner, kind: 'ipv4', min, max }));
  }
  const offset = offsetOf(range, asked);
  if (offset === null)
    throw new AppError('invalid', `no machine can have the address '${asked}'`, {
      hint: `Ask for one of ${addressAt(range, range.offsetMin)} to ${addressAt(range, range.offsetMax)}.`,
    });
  await takeCertain(tx, { ...owner, kind: 'ipv4' }, offset, `the address ${asked}`);
  return asked;
}

export async function allocatePort(
  tx: Repositories,
  { protocol, bind = bindDefault, hostPort = null, guestPort }: PortRequest,
  owner: Owner,
  { portRange }: AllocationSettings,
  busy: BusyPorts,
): Promise<PublishedPort> {
  const kind = portKind(protocol);
  if (hostPort === null) {
    const range = { min: portRange.first, max: portRange.last };
    return {
      protocol,
      bind,
      guestPort,
      hostPort: await takeFree(tx, { ...owner, kind, ...range }, busy[protocol]),
    };
  }
  if (busy[protocol].has(hostPort)) {
    throw new AppError('conflict', `a program of the host listens on ${protocol} port ${hostPort}`, {
      hint: 'Ask for another port, or for none to get a free one.',
    });
  }
  await takeCertain(tx, { ...owner, kind }, hostPort, `${protocol} port ${hostPort} of the host`);
  return { protocol, bind, guestPort, hostPort };
}

/** Takes what a machine has whose record was written in another database. An address outside the network is left: it gets another one. */
export async function allocateRecorded(
  tx: Repositories,
  { network: { address, lan, ports }, sshPort }: Pick<MachineSpec, 'network' | 'sshPort'>,
  owner: Owner,
  { ipv4 }: Pick<NetworkFacts, 'ipv4'>,
): Promise<void> {
  if (sshPort !== null)
    await takeCertain(tx, { ...owner, kind: 'tcp_port' }, sshPort, `tcp port ${sshPort} of the host`);
  const offset = address === null ? null : offsetOf(parseRange(ipv4), address);
  if (lan !== null) await allocateRecordedLan(tx, lan, owner);
  if (offset !== null) await takeCertain(tx, { ...owner, kind: 'ipv4' }, offset, `the address ${address}`);
  for (const { protocol, hostPort } of ports)
    await takeCertain(
      tx,
      { ...owner, kind: portKind(protocol) },
      hostPort,
      `${protocol} port ${hostPort} of the host`,
    );
}

export function portKind(protocol: PublishedPort['protocol']): AllocationKind {
  return protocol === 'tcp' ? 'tcp_port' : 'udp_port';
}

/** The next value that no program of the host has. */
export async function takeFree(
  tx: Repositories,
  request: AllocationRequest,
  busy: ReadonlySet<number>,
): Promise<number> {
  for (let tries = 0; tries <= busy.size; tries += 1) {
    const value = await tx.allocations.take(request);
    if (!busy.has(value)) return value;
    await tx.allocations.release(request.hostId, request.owner, request.kind, value);
  }
  throw new AppError('exhausted', `all ports of the range ${request.min} to ${request.max} are taken`);
}
