/**
 * The network of a host with a bridge: implements core's port with taps, nftables and a resolver. Core decides every
 * value; this driver makes the host look like it. It never opens a tap, which VMMs do.
 *
 * Order: rules are in force before a tap is up, and stay until it is gone; the tap is made meanwhile, and is down. All changes run one after another.
 */
import { isDeepStrictEqual } from 'node:util';
import type {
  BusyPorts,
  DeniedEgress,
  GuestNetwork,
  NatAttachment,
  Network,
  NetworkFacts,
  NetworkUsage,
  NicAttachment,
  PortWish,
} from '../core/ports/network.ts';
import { inParallel } from '../lib/in-parallel.ts';
import { KeyedLock } from '../lib/keyed-lock.ts';
import { type Logger, silentLog } from '../lib/log.ts';
import { type Cidr, formatCidr, gatewayOf } from './addresses.ts';
import { readBusyPorts } from './busy-ports.ts';
import { DeniedLog } from './denied.ts';
import { machineZone } from './dns/names.ts';
import { Resolver } from './dns/resolver.ts';
import { openSockets } from './dns/sockets.ts';
import { Upstream } from './dns/upstream.ts';
import { forgetFlows } from './flows.ts';
import { addressesOf, Guests } from './guests.ts';
import { explaining, HostCommands } from './host-commands.ts';
import { Links, type Tap } from './links.ts';
import { isEverywhere, isThere, notAnAddress, readLocalAddresses } from './local-addresses.ts';
import { machineOfTap, shaperName, tapName } from './names.ts';
import { type OuterAddresses, outerAddresses } from './outer-addresses.ts';
import { checkAttachment, checkBind } from './rules/elements.ts';
import { Firewall } from './rules/firewall.ts';
import { type PinnedAddress, Pins } from './rules/pins.ts';
import { readElement } from './rules/shown-elements.ts';
import { natTables, type TableOptions } from './rules/tables.ts';
import { type Limits, Shaper } from './shaper.ts';

export interface BridgeNetworkOptions {
  /** Also the name of the nftables tables. */
  readonly bridge: string;
  /** Two daemons never share a bridge; the state directory tells them apart. */
  readonly owner: string;
  /** A path such as `/run/netns/x`; null: the daemon's own namespace. */
  readonly netns: string | null;
  readonly ipv4: Cidr;
  readonly ipv6: Cidr | null;
  /** Name servers, each optionally with `#port`; null: those of the host. */
  readonly dns: readonly string[] | null;
  /** The VMM of slot n runs as user uidBase + n. */
  readonly uidBase: number;
  readonly log?: Logger;
  /** Default: those that the host has. */
  readonly outerAddresses?: () => OuterAddresses;
}

const dnsPort = 53;

export class BridgeNetwork implements Network<NatAttachment> {
  readonly facts: NetworkFacts;
  readonly #options: BridgeNetworkOptions;
  readonly #commands: HostCommands;
  readonly #links: Links;
  readonly #shaper: Shaper;
  readonly #firewall: Firewall<TableOptions>;
  readonly #guests = new Guests();
  readonly #pins: Pins;
  readonly #deniedLog: DeniedLog;
  readonly #lock = new KeyedLock();
  /** Machines whose detachment has begun and not ended. */
  readonly #leaving = new Set<string>();
  #resolver: Resolver | null = null;
  /** Whether what an earlier daemon has pinned was read. */
  #arePinsLoaded = false;

  constructor(options: BridgeNetworkOptions) {
    this.#options = options;
    const { ipv4, ipv6, netns, bridge } = options;
    this.facts = {
      kind: 'bridge',
      reason: null,
      ipv4: formatCidr(ipv4),
      ipv6: ipv6 && formatCidr(ipv6),
      lan: { bridges: [], reason: null },
    };
    this.#commands = new HostCommands(netns);
    this.#links = new Links(this.#commands, options);
    this.#shaper = new Shaper(this.#commands, this.#links, { tap: tapName, shaper: shaperName });
    this.#firewall = new Firewall(this.#commands, natTables, this.#tableOptions());
    this.#pins = new Pins(bridge);
    this.#deniedLog = new DeniedLog(this.#firewall);
  }

  /**
   * Makes the bridge and starts the resolver. Raises `unavailable` when the host refuses, `conflict` when the bridge
   * is another daemon's.
   */
  async open(signal: AbortSignal): Promise<void> {
    await explaining('make the bridge of the network', signal, () => this.#links.makeBridge(signal));
    if (this.#resolver !== null) return;
    const { netns, dns, log = silentLog } = this.#options;
    const sockets = await openSockets(netns, { addresses: this.#gateways(), port: dnsPort }, signal);
    this.#resolver = new Resolver(sockets, {
      upstream: new Upstream(dns),
      log,
      guestAt: (address) => this.#guests.resolverGuest(address),
      pin: (machineId, name, addresses, limit) => this.#pin(machineId, name, addresses, limit),
      refused: (machineId, name) => this.#deniedLog.noteName(machineId, name, Date.now()),
    });
  }

  /** The kernel carries connections itself. */
  connectBy(): void {}

  async tryPort({ bind }: PortWish, signal: AbortSignal): Promise<void> {
    checkBind(bind, this.#options.ipv6 !== null);
    if (isEverywhere(bind)) return;
    const read = () => readLocalAddresses(this.#commands, signal);
    if (!isThere(bind, await explaining('read the addresses of the host', signal, read)))
      throw notAnAddress(bind);
  }

  attach(
    attachment: NatAttachment,
    signal: AbortSignal,
    onMade: (nic: NicAttachment) => void = () => undefined,
  ): Promise<NicAttachment> {
    checkAttachment(attachment);
    const { mac, machineId, bandwidth } = attachment;
    const tap = this.#tapOf(attachment);
    const nic = { kind: 'tap', tap: tapName(machineId), netns: this.#options.netns, mac } as const;
    const makeTap = async () => {
      const isNew = await this.#links.makeTap(tap, signal);
      onMade(nic);
      if (isNew) await this.#shaper.applyToNew(machineId, bandwidth, signal);
      else await this.#shaper.apply(machineId, bandwidth, await this.#shaper.limits(signal), signal);
    };
    return this.#alone(`attach machine ${machineId} to the network`, signal, async () => {
      this.#leaving.delete(machineId);
      // The tap first: the VMM waits for it.
      await inParallel([makeTap(), this.#change(attachment, signal)]);
      await inParallel([this.#links.place([tap], signal), this.#links.raise([nic.tap], signal)]);
      return nic;
    });
  }

  busyPorts(signal: AbortSignal): Promise<BusyPorts> {
    return explaining('read the ports of the host', signal, () => readBusyPorts(this.#commands, signal));
  }

  guestNetwork({ mac, ipv4, ipv6 }: NatAttachment): GuestNetwork {
    return {
      mac,
      // No other guest is on the link: their packets, too, go through the gateway.
      addresses: [{ address: ipv4, prefix: 32 }, ...(ipv6 === null ? [] : [{ address: ipv6, prefix: 128 }])],
      gateways: ipv6 === null ? this.#gateways().slice(0, 1) : this.#gateways(),
      resolvers: this.#gateways().slice(0, 1),
      searchDomains: [machineZone],
    };
  }

  update(attachment: NatAttachment, signal: AbortSignal): Promise<void> {
    checkAttachment(attachment);
    const { machineId, bandwidth } = attachment;
    return this.#alone(`change the rules of machine ${machineId}`, signal, async () => {
      if (this.#guests.get(machineId) === null) return;
      await this.#change(attachment, signal);
      if (this.#shaper.isKnown(machineId, bandwidth)) return;
      await this.#shaper.apply(machineId, bandwidth, await this.#shaper.limits(signal), signal);
    });
  }

  detach(machineId: string, signal: AbortSignal): Promise<void> {
    return this.#alone(`detach machine ${machineId} from the network`, signal, async () => {
      this.#leaving.add(machineId);
      await this.#links.detach(machineId, signal);
      this.#shaper.forget(machineId);
      await this.#forget(machineId, signal);
      this.#guests.delete(machineId);
      this.#leaving.delete(machineId);
    });
  }

  /** Removes what the rules and the host know of a machine that has no tap any more. */
  async #forget(machineId: string, signal: AbortSignal): Promise<void> {
    const { bridge } = this.#options;
    const attachment = this.#guests.get(machineId);
    const isStray = attachment === null && (await this.#markedMachines(signal)).has(machineId);
    if (attachment === null && !isStray) return;
    const addresses =
      attachment === null ? await this.#strayAddresses(machineId, signal) : addressesOf(attachment);
    const more = [
      ...(await this.#deniedLog.removal(bridge, machineId, addresses, signal)),
      ...this.#pins.remove(machineId),
    ].join('\n');
    if (attachment !== null) await this.#firewall.change(new Map([[machineId, null]]), signal, more);
    // Nobody remembers which elements it has; before the first `restore`, which removes them, nor those of the others.
    else if (this.#firewall.isKnown) await this.#firewall.write(signal, more);
    // A flow of this guest must not go on as one of the address's next owner.
    await this.#forgetAddresses(addresses, signal);
  }

  /** The neighbours last: as long as they are there, the next daemon finds out that there may be flows. */
  async #forgetAddresses(addresses: readonly string[], signal: AbortSignal): Promise<void> {
    await forgetFlows(this.#commands, addresses, signal);
    await this.#links.forget(addresses, signal);
  }

  /** Machines that the rules know, whether they have a tap or not. */
  async #markedMachines(signal: AbortSignal): Promise<ReadonlySet<string>> {
    const taps = await this.#firewall.list('taps', signal, 'bridge');
    return new Set(taps.flatMap((shown) => machineOfTap(readElement(shown).parts[0] ?? '') ?? []));
  }

  async #strayAddresses(machineId: string, signal: AbortSignal): Promise<readonly string[]> {
    const found: string[] = [];
    for (const set of ['bound4', 'bound6']) {
      for (const shown of await this.#firewall.list(set, signal, 'bridge')) {
        const [tap, , address] = readElement(shown).parts;
        if (tap === tapName(machineId) && address !== undefined) found.push(address);
      }
    }
    return found;
  }

  restore(attachments: readonly NatAttachment[], signal: AbortSignal): Promise<void> {
    for (const attachment of attachments) checkAttachment(attachment);
    return this.#alone('restore the network', signal, async () => {
      const wanted = new Set(attachments.map(({ machineId }) => machineId));
      this.#guests.retain(wanted);
      for (const attachment of attachments) this.#guests.set(attachment);
      const elements = new Map(
        attachments.map(({ machineId }) => [machineId, this.#guests.elements(machineId)]),
      );
      // Before anything that the host may refuse: the next change then writes the rules of all machines.
      this.#firewall.expect(this.#tableOptions(), elements);
      await this.#links.makeBridge(signal);
      await this.#links.retain(wanted, signal);
      await this.#firewall.write(signal);
      this.#leaving.clear();
      const addresses = new Set(attachments.flatMap(addressesOf));
      const gone = (await this.#links.knownAddresses(signal)).filter((address) => !addresses.has(address));
      await this.#forgetAddresses(gone, signal);
      await this.#loadPins(signal);
      await this.#repair(attachments, signal);
    });
  }

  /** Called again and again by the reconciler, so it also refuses guests the addresses that the host has got since. */
  async list(signal: AbortSignal): Promise<readonly string[]> {
    await this.#followHost(signal);
    return explaining('list what is in the network', signal, async () => [
      ...new Set([
        ...(await this.#links.machines(signal)),
        ...(await this.#markedMachines(signal)),
        ...this.#leaving,
      ]),
    ]);
  }

  async measure(machineId: string, signal: AbortSignal): Promise<NetworkUsage | null> {
    const read = () => this.#links.usage(tapName(machineId), signal);
    return explaining('read counters of the network', signal, read);
  }

  async denied(machineId: string, signal: AbortSignal): Promise<readonly DeniedEgress[]> {
    const attachment = this.#guests.get(machineId);
    if (attachment === null) return [];
    return explaining('read what was refused', signal, () =>
      this.#deniedLog.list(machineId, addressesOf(attachment), Date.now(), signal),
    );
  }

  /** What is wrong is put right by `restore`. */
  troubleOf(): null {
    return null;
  }

  async close(): Promise<void> {
    this.#resolver?.close();
    this.#resolver = null;
  }

  #alone<T>(what: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return this.#lock.run('network', async () => {
      signal.throwIfAborted();
      return explaining(what, signal, work);
    });
  }

  async #change(attachment: NatAttachment, signal: AbortSignal): Promise<void> {
    const { machineId } = attachment;
    const before = this.#guests.get(machineId);
    this.#guests.set(attachment);
    const pins = this.#pins.change(attachment, Date.now());
    const elements = new Map([[machineId, this.#guests.elements(machineId)]]);
    await this.#firewall.change(elements, signal, pins.join('\n'));
    if (before === null) return;
    const now = addressesOf(attachment);
    const gone = addressesOf(before).filter((address) => !now.includes(address));
    if (gone.length === 0) return;
    await this.#forgetAddresses(gone, signal);
  }

  async #makeTaps(attachments: readonly NatAttachment[], limits: Limits, signal: AbortSignal): Promise<void> {
    const taps = attachments.map((attachment) => this.#tapOf(attachment));
    await this.#links.makeTaps(taps, signal);
    await this.#links.place(taps, signal);
    for (const { machineId, bandwidth } of attachments) {
      await this.#shaper.apply(machineId, bandwidth, limits, signal);
    }
    await this.#links.raise(
      attachments.map(({ machineId }) => tapName(machineId)),
      signal,
    );
  }

  #tapOf(attachment: NatAttachment): Tap {
    const { machineId, mac, slot } = attachment;
    return { machineId, uid: this.#options.uidBase + slot, mac, addresses: addressesOf(attachment) };
  }

  async #repair(attachments: readonly NatAttachment[], signal: AbortSignal): Promise<void> {
    const taps = attachments.map((attachment) => this.#tapOf(attachment));
    const broken = new Set((await this.#links.findBroken(taps, signal)).map(({ machineId }) => machineId));
    const limits = await this.#shaper.limits(signal);
    const wrong = attachments.filter(
      ({ machineId, bandwidth }) =>
        broken.has(machineId) || !this.#shaper.isApplied(machineId, bandwidth, limits),
    );
    await this.#makeTaps(wrong, limits, signal);
  }

  /** Called by the resolver. A guest that was detached meanwhile gets nothing. */
  #pin(
    machineId: string,
    name: string,
    addresses: readonly PinnedAddress[],
    signal: AbortSignal,
  ): Promise<void> {
    return this.#alone(`open addresses of ${name} for machine ${machineId}`, signal, async () => {
      const attachment = this.#guests.get(machineId);
      if (attachment === null) return;
      const lines = this.#pins.add(attachment, name, addresses, Date.now());
      if (lines.length > 0) await this.#firewall.apply(lines.join('\n'), signal);
    });
  }

  /** What earlier daemons have pinned stays, for the machines that still have an allowlist. */
  async #loadPins(signal: AbortSignal): Promise<void> {
    if (this.#arePinsLoaded) return;
    const { bridge } = this.#options;
    const lines: string[] = [];
    for (const set of ['pins4', 'pins6']) {
      for (const shown of await this.#firewall.list(set, signal)) {
        const { parts, expiresS } = readElement(shown);
        const [source = '', address = ''] = parts;
        const guest = this.#guests.at(source);
        const key = parts.join(' . ');
        if (guest?.egress.kind === 'allowlist') {
          this.#pins.load(guest.machineId, address, [key], Date.now() + (expiresS ?? 0) * 1000);
        } else {
          lines.push(`add element inet ${bridge} ${set} { ${key} }`);
          lines.push(`delete element inet ${bridge} ${set} { ${key} }`);
        }
      }
    }
    if (lines.length > 0) await this.#firewall.apply(lines.join('\n'), signal);
    this.#arePinsLoaded = true;
  }

  async #followHost(signal: AbortSignal): Promise<void> {
    const isCurrent = () =>
      !this.#firewall.isKnown || isDeepStrictEqual(this.#firewall.options, this.#tableOptions());
    if (isCurrent()) return;
    await this.#alone('refuse guests the addresses of this host', signal, () =>
      this.#firewall.adopt(this.#tableOptions(), signal),
    );
  }

  #gateways(): readonly string[] {
    const { ipv4, ipv6 } = this.#options;
    return [gatewayOf(ipv4), ...(ipv6 === null ? [] : [gatewayOf(ipv6)])];
  }

  #tableOptions(): TableOptions {
    const { bridge, ipv4, ipv6, netns, outerAddresses: read = () => outerAddresses(netns) } = this.#options;
    return { bridge, ipv4, ipv6, hostAddresses: read() };
  }
}
