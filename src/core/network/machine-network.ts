/**
 * A machine's place in the network, as it is recorded: what it may reach and what leads to it. Its address and the
 * ports of the host are allocations of the machine. The types of policies belong to the port of the host's network.
 */
import type { Bandwidth, EgressPolicy, FixedAddress, PublishedPort } from '../ports/network.ts';

/**
 * `nat`: an address of the guests' network, with a way out through the host. `bridge`: a place on a bridge of the
 * operator's, with an address of that network. `none`: no interface.
 */
export const networkModes = ['nat', 'bridge', 'none'] as const;
export type NetworkMode = (typeof networkModes)[number];

export interface MachineNetwork {
  readonly mode: NetworkMode;
  /** Its IPv4 address in the guests' network, from creation to deletion; null unless the mode is `nat`. */
  readonly address: string | null;
  /** Null unless the mode is `bridge`. */
  readonly lan: MachineLan | null;
  /** Machines of the tenant with the same group reach each other; null: it reaches no other machine. */
  readonly group: string | null;
  readonly egress: EgressPolicy;
  readonly bandwidth: Bandwidth;
  /** In the order in which they were published. */
  readonly ports: readonly PublishedPort[];
}

/** A machine's place on a bridge of the operator's. */
export interface MachineLan {
  readonly bridge: string;
  /** From creation to deletion, unless the machine gives its place up. */
  readonly mac: string;
  /** Null: by DHCP. */
  readonly fixed: FixedAddress | null;
}

/** Its IPv4 address as recorded; null when it has none, or when a DHCP server gives it. */
export function recordedAddress({ address, lan }: MachineNetwork): string | null {
  return address ?? lan?.fixed?.address ?? null;
}

/** The network of machines that were recorded before machines had one. */
export const noNetwork: MachineNetwork = {
  mode: 'none',
  address: null,
  lan: null,
  group: null,
  egress: { kind: 'allow' },
  bandwidth: { egress: null, ingress: null },
  ports: [],
};
