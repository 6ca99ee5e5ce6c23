/**
 * What core requires of this host's network: a guest's interface, its translated addresses, published ports and the
 * limits of what it may send. `src/network` implements it with a bridge, taps and nftables. Core decides every
 * value; the driver makes the host look like it.
 *
 * An attachment is one machine's place in the network. `attach` makes it before the guest boots; `update` changes
 * its rules while the guest runs; `detach` removes all of it. All three are idempotent.
 */
import type { Duplex } from 'node:stream';

/** The network that guests are attached to. */
export interface NetworkFacts {
  /**
   * `bridge`: taps on a bridge of this host. `user`: the host has no rights or programs for a bridge, so guests get
   * an interface that leads nowhere, and the daemon itself carries connections to published ports, TCP only.
   */
  readonly kind: 'bridge' | 'user';
  /** Why it is not a bridge, and what to do about it; null when it is. */
  readonly reason: string | null;
  /** The guests' network, such as `10.77.0.0/16`; its first address is the gateway and resolver. */
  readonly ipv4: string;
  /** A /64 of unique local addresses, such as `fd77::/64`; null when guests have IPv4 only. */
  readonly ipv6: string | null;
  readonly lan: LanFacts;
}

/** The operator's own bridges on which machines may stand. */
export interface LanFacts {
  /** Those that the operator has named; the first one is the default. They need not exist now. */
  readonly bridges: readonly LanBridge[];
  /** Why no machine can stand on them, and what to do about it; null when machines can. */
  readonly reason: string | null;
}

export interface LanBridge {
  readonly name: string;
  /** The addresses that a request may name, such as `192.168.1.128/25`; null: addresses come by DHCP only. */
  readonly fixedRange: string | null;
}

/** One machine's place in the network. */
export type Attachment = NatAttachment | LanAttachment;

interface AnyAttachment {
  readonly machineId: string;
  readonly tenant: string;
  /** Its name within the tenant, for `<name>.flotilla.internal`. */
  readonly name: string;
  /** See LaunchSpec.slot: the tap belongs to the uid of the VMM that has this slot. */
  readonly slot: number;
  readonly mac: string;
  /** Machines of one tenant with the same group reach each other; null: it reaches no other machine. */
  readonly group: string | null;
  readonly egress: EgressPolicy;
  readonly bandwidth: Bandwidth;
}

/** A place in the guests' own network, behind the host's address. */
export interface NatAttachment extends AnyAttachment {
  readonly kind: 'nat';
  readonly ipv4: string;
  readonly ipv6: string | null;
  readonly ports: readonly PublishedPort[];
}

/** A place on a bridge of the operator's, in the network of that bridge. IPv4 only. */
export interface LanAttachment extends AnyAttachment {
  readonly kind: 'lan';
  readonly bridge: string;
  /** Null: its address comes from the DHCP server of that network. */
  readonly fixed: FixedAddress | null;
}

/** An IPv4 address that does not come by DHCP. */
export interface FixedAddress {
  readonly address: string;
  /** Length in bits. */
  readonly prefix: number;
  /** Null: it reaches its own network only. */
  readonly gateway: string | null;
  readonly resolvers: readonly string[];
}

/** What a guest may send to the world. Replies to connections from outside always pass. */
export type EgressPolicy =
  | { readonly kind: 'allow' }
  | { readonly kind: 'deny' }
  /** Only what a rule names. DNS goes to this host's resolver alone. */
  | { readonly kind: 'allowlist'; readonly rules: readonly EgressRule[] };

export interface EgressRule {
  /** A CIDR such as `192.0.2.0/24`, or a domain name such as `example.com` or `*.example.com`. */
  readonly to: string;
  readonly protocol: 'tcp' | 'udp' | 'any';
  /** Inclusive ranges; null: every port. */
  readonly ports: readonly PortRange[] | null;
}

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** Bits per second; null: unlimited. */
export interface Bandwidth {
  readonly egress: number | null;
  readonly ingress: number | null;
}

/** A port of this host that leads to a port of a guest. */
export interface PublishedPort {
  readonly protocol: 'tcp' | 'udp';
  /** An address of this host, such as `127.0.0.1`; `0.0.0.0`: all. */
  readonly bind: string;
  readonly hostPort: number;
  readonly guestPort: number;
}

/** A port that is to be published. */
export interface PortWish extends Pick<PublishedPort, 'protocol' | 'bind'> {
  /** Null: any. */
  readonly hostPort: number | null;
}

/**
 * Connects to a TCP port of the guest of an attached machine, which is in use while the connection is open. See
 * GuestConnections about how it ends. Raises `conflict` when the machine does not run or nothing listens there.
 */
export type GuestDialler = (machineId: string, port: number, signal: AbortSignal) => Promise<Duplex>;

/** The guest's interface, as its engine needs it. */
export type NicAttachment =
  /** A tap device in the network namespace at `netns` (a path such as `/run/netns/x`; null: the daemon's own). */
  | { readonly kind: 'tap'; readonly tap: string; readonly netns: string | null; readonly mac: string }
  /** Made by the VMM itself; reaches nothing. */
  | { readonly kind: 'isolated'; readonly mac: string };

/** What the guest agent sets up: lengths of prefixes are in bits. */
export interface GuestNetwork {
  readonly mac: string;
  readonly addresses: readonly { readonly address: string; readonly prefix: number }[];
  /** On the link, whatever the prefixes say. */
  readonly gateways: readonly string[];
  readonly resolvers: readonly string[];
  /** Searched for names without a dot. */
  readonly searchDomains: readonly string[];
  /** True: address, gateway and resolvers come from a DHCP server; the lists above are empty. Absent: false. */
  readonly dhcp?: boolean;
}

/** Since the machine was attached; from the guest's point of view. */
export interface NetworkUsage {
  readonly receivedBytes: number;
  readonly receivedPackets: number;
  readonly sentBytes: number;
  readonly sentPackets: number;
}

/** Packets that the egress policy refused, gathered by destination. */
export interface DeniedEgress {
  readonly protocol: string;
  readonly address: string;
  /** Null for protocols without ports. */
  readonly port: number | null;
  /** The name that the guest asked for, when its resolver refused it. */
  readonly domain: string | null;
  readonly packets: number;
  /** RFC 3339. */
  readonly lastAt: string;
}

/** Ports on which programs of the host listen, on any of its addresses. */
export interface BusyPorts {
  readonly tcp: ReadonlySet<number>;
  readonly udp: ReadonlySet<number>;
}

/** Raises `unavailable` when the host refuses, `timeout`; rejects with the signal's reason. */
export interface Network<A extends Attachment = Attachment> {
  readonly facts: NetworkFacts;
  /** Before anything is attached: how guests are reached, for a host whose daemon carries connections itself. */
  connectBy(dial: GuestDialler): void;
  /**
   * Makes the interface, with all rules in force before it carries a packet. Called again, changes what differs.
   * `onMade` is called when the interface is there and carries nothing yet: a VMM may open it then.
   */
  attach(attachment: A, signal: AbortSignal, onMade?: (nic: NicAttachment) => void): Promise<NicAttachment>;
  /** What the guest of this attachment is to set up. */
  guestNetwork(attachment: A): GuestNetwork;
  /** Changes the rules of an attached machine in one step: no packet sees half of them. Does nothing when it is not attached. */
  update(attachment: A, signal: AbortSignal): Promise<void>;
  detach(machineId: string, signal: AbortSignal): Promise<void>;
  /** At the start of the daemon, and by the reconciler: puts exactly these machines' rules in force, and repairs what is missing. */
  restore(attachments: readonly A[], signal: AbortSignal): Promise<void>;
  /** Ids of all machines that have anything in the network of this host, found on the host and not remembered. */
  list(signal: AbortSignal): Promise<readonly string[]>;
  /** Raises `conflict`, `invalid` and `unsupported` when the host would not publish the port now. */
  tryPort(port: PortWish, signal: AbortSignal): Promise<void>;
  /** A published port would take the connections of such a program away from it. */
  busyPorts(signal: AbortSignal): Promise<BusyPorts>;
  /** Null when it is not attached, or not measured. */
  measure(machineId: string, signal: AbortSignal): Promise<NetworkUsage | null>;
  /** Newest first, at most 1,000. */
  denied(machineId: string, signal: AbortSignal): Promise<readonly DeniedEgress[]>;
  /** What is wrong with the interface of an attached machine, as `list` has last found it; null: nothing. */
  troubleOf(machineId: string): string | null;
  /** Stops serving names and ports; leaves machines' interfaces and rules alone. */
  close(): Promise<void>;
}
