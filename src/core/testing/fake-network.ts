/** A host's network that is only a map; each call can be made to fail. Outlives its daemons as the real one does. */
import { AppError } from '../errors.ts';
import type {
  Attachment,
  BusyPorts,
  DeniedEgress,
  GuestDialler,
  GuestNetwork,
  Network,
  NetworkFacts,
  NetworkUsage,
  NicAttachment,
  PortWish,
} from '../ports/network.ts';

export type FakeNetworkCall = 'attach' | 'update' | 'detach' | 'restore' | 'list';

export class FakeNetwork implements Network {
  readonly facts: NetworkFacts;
  /** By machine: what the host has. */
  readonly attached = new Map<string, Attachment>();
  /** Number of calls of each kind. */
  readonly calls = new Map<FakeNetworkCall, number>();
  /** Thrown by the next calls, in order. */
  readonly failures = new Map<FakeNetworkCall, Error[]>();
  /** Runs before and after each call's effect. */
  onCall: (call: FakeNetworkCall, when: 'before' | 'after') => Promise<void> = async () => undefined;
  usage: NetworkUsage | null = {
    receivedBytes: 1000,
    receivedPackets: 10,
    sentBytes: 2000,
    sentPackets: 20,
  };
  refused: readonly DeniedEgress[] = [];
  /** Of programs of the host. */
  readonly busy = { tcp: new Set<number>(), udp: new Set<number>() };

  /** How the daemon reaches guests. */
  dial: GuestDialler | null = null;
  /** Thrown for each port that is to be published. */
  portError: Error | null = null;

  constructor(facts: Partial<NetworkFacts> = {}) {
    const lan = { bridges: [], reason: null };
    this.facts = { kind: 'bridge', reason: null, ipv4: '10.77.0.0/16', ipv6: 'fd77::/64', lan, ...facts };
  }

  async attach(
    attachment: Attachment,
    signal: AbortSignal,
    onMade: (nic: NicAttachment) => void = () => undefined,
  ): Promise<NicAttachment> {
    await this.#called('attach', signal);
    for (const other of this.attached.values())
      if (other.machineId !== attachment.machineId && other.mac === attachment.mac)
        throw new AppError('internal', `two machines have the address ${attachment.mac}`);
    this.attached.set(attachment.machineId, attachment);
    const { mac, machineId } = attachment;
    const nic: NicAttachment =
      this.facts.kind === 'user'
        ? { kind: 'isolated', mac }
        : { kind: 'tap', tap: `tap-${machineId}`, netns: null, mac };
    onMade(nic);
    await this.onCall('attach', 'after');
    return nic;
  }

  connectBy(dial: GuestDialler): void {
    this.dial = dial;
  }

  async tryPort(_: PortWish): Promise<void> {
    if (this.portError !== null) throw this.portError;
  }

  async busyPorts(): Promise<BusyPorts> {
    return this.busy;
  }

  guestNetwork(attachment: Attachment): GuestNetwork {
    const { mac } = attachment;
    if (attachment.kind === 'lan') {
      const { fixed } = attachment;
      return {
        mac,
        addresses: fixed === null ? [] : [{ address: fixed.address, prefix: fixed.prefix }],
        gateways: fixed?.gateway == null ? [] : [fixed.gateway],
        resolvers: fixed?.resolvers ?? [],
        searchDomains: [],
        ...(fixed === null ? { dhcp: true } : {}),
      };
    }
    const { ipv4, ipv6 } = attachment;
    return {
      mac,
      addresses: [{ address: ipv4, prefix: 32 }, ...(ipv6 === null ? [] : [{ address: ipv6, prefix: 128 }])],
      gateways: ['10.77.0.1'],
      resolvers: ['10.77.0.1'],
      searchDomains: ['flotilla.internal'],
    };
  }

  async update(attachment: Attachment, signal: AbortSignal): Promise<void> {
    await this.#called('update', signal);
    if (this.attached.has(attachment.machineId)) this.attached.set(attachment.machineId, attachment);
    await this.onCall('update', 'after');
  }

  async detach(machineId: string, signal: AbortSignal): Promise<void> {
    await this.#called('detach', signal);
    this.attached.delete(machineId);
    await this.onCall('detach', 'after');
  }

  async restore(attachments: readonly Attachment[], signal: AbortSignal): Promise<void> {
    await this.#called('restore', signal);
    this.attached.clear();
    for (const attachment of attachments) this.attached.set(attachment.machineId, attachment);
    await this.onCall('restore', 'after');
  }

  async list(signal: AbortSignal): Promise<readonly string[]> {
    await this.#called('list', signal);
    return [...this.attached.keys()];
  }

  async measure(machineId: string): Promise<NetworkUsage | null> {
    return this.attached.has(machineId) ? this.usage : null;
  }

  async denied(machineId: string): Promise<readonly DeniedEgress[]> {
    return this.attached.has(machineId) ? this.refused : [];
  }

  /** What troubleOf answers. */
  trouble: string | null = null;

  troubleOf(): string | null {
    return this.trouble;
  }

  async close(): Promise<void> {}

  async #called(call: FakeNetworkCall, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.calls.set(call, (this.calls.get(call) ?? 0) + 1);
    await this.onCall(call, 'before');
    const failure = this.failures.get(call)?.shift();
    if (failure !== undefined) throw failure;
  }
}
