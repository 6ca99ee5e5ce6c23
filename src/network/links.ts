/**
 * The host's links: the bridge, each machine's tap, and what the kernel is told about them. Looks before it acts, so
 * that every call may be repeated. A tap's rules are in force before `attach` makes it (see BridgeNetwork).
 */
import { z } from 'zod';
import { AppError } from '../core/errors.ts';
import { ProcessError } from '../lib/process.ts';
import { type Cidr, gatewayOf } from './addresses.ts';
import { Devices, hasOwner, type Link } from './devices.ts';
import type { HostCommands } from './host-commands.ts';
import { bridgeMac, machineOfShaper, machineOfTap, shaperName, tapName } from './names.ts';

export interface LinkOptions {
  readonly bridge: string;
  /** Who uses the bridge, such as the state directory: two daemons never share one. */
  readonly owner: string;
  readonly ipv4: Cidr;
  readonly ipv6: Cidr | null;
}

/** A tap as it should be. */
export interface Tap {
  readonly machineId: string;
  readonly uid: number;
  readonly mac: string;
  readonly addresses: readonly string[];
}

export class Links extends Devices {
  readonly #options: LinkOptions;

  constructor(commands: HostCommands, options: LinkOptions) {
    super(commands, options.owner);
    this.#options = options;
  }

  /** Makes the bridge with its addresses. Raises `conflict` when it belongs to another daemon. */
  async makeBridge(signal: AbortSignal): Promise<void> {
    const { bridge, owner, ipv4, ipv6 } = this.#options;
    const there = await this.find(bridge, signal);
    if (there !== null) this.#checkBridge(there);
    else await this.ip([`link add name ${bridge} address ${bridgeMac(bridge, owner)} type bridge`], signal);
    await this.ip(
      [
        `link set dev ${bridge} alias ${this.alias}`,
        `link set dev ${bridge} type bridge stp_state 0 mcast_snooping 0 forward_delay 0`,
        `address replace ${gatewayOf(ipv4)}/${ipv4.prefix} dev ${bridge}`,
      ],
      signal,
    );
    await this.#setSysctls(signal);
    await this.ip(
      [
        `link set dev ${bridge} up`,
        ...(ipv6 === null ? [] : [`address replace ${gatewayOf(ipv6)}/${ipv6.prefix} dev ${bridge} nodad`]),
      ],
      signal,
    );
  }

  #checkBridge({ ifalias, linkinfo }: Link): void {
    const { bridge } = this.#options;
    if (linkinfo?.info_kind === 'bridge' && ifalias === this.alias) return;
    const whose = ifalias?.startsWith('flotilla:') ? `the daemon of ${ifalias.slice(9)}` : 'something else';
    throw new AppError('conflict', `the interface ${bridge} belongs to ${whose}`, {
      hint: `Set FLOTILLA_NETWORK_BRIDGE to another name and FLOTILLA_NETWORK_CIDR to another network; or remove it: ip link delete ${bridge}`,
    });
  }

  async removeBridge(signal: AbortSignal): Promise<void> {
    await this.remove(this.#options.bridge, signal);
  }

  /** Makes a tap, or makes it right; a new one is down until `raise`. Whether it is new, without anything attached to it. */
  async makeTap(tap: Tap, signal: AbortSignal): Promise<boolean> {
    try {
      // Normally there is none. Otherwise its first line fails, and nothing has changed.
      await this.ip(this.#tapLines(tap, null), signal);
      return true;
    } catch (error) {
      if (signal.aborted || !(error instanceof ProcessError) || error.isTimeout) throw error;
    }
    const link = await this.find(tapName(tap.machineId), signal);
    await this.ip(this.#tapLines(tap, link), signal);
    return link === null || !hasOwner(link, tap.uid);
  }

  /** Makes each of these taps right, which may be there. */
  async makeTaps(taps: readonly Tap[], signal: AbortSignal): Promise<void> {
    if (taps.length === 0) return;
    const there = new Map((await this.links(['-d'], signal)).map((link) => [link.ifname, link]));
    const lines = taps.flatMap((tap) => this.#tapLines(tap, there.get(tapName(tap.machineId)) ?? null));
    await this.ip(lines, signal);
  }

  #tapLines({ machineId, uid, mac, addresses }: Tap, there: Link | null): readonly string[] {
    const { bridge } = this.#options;
    const name = tapName(machineId);
    // A machine may get another slot while it is stopped. (What is no tap stays: tests put one end of a veth there.)
    const isWrong = there !== null && !hasOwner(there, uid);
    return [
      ...(isWrong ? [`link delete dev ${name}`] : []),
      ...(there === null || isWrong ? [`tuntap add dev ${name} mode tap user ${uid} vnet_hdr`] : []),
      `link set dev ${name} alias ${this.alias}`,
      `link set dev ${name} addrgenmode none`,
      `link set dev ${name} master ${bridge}`,
      `link set dev ${name} type bridge_slave ${portOptions}`,
      ...addresses.map((address) => `neighbour replace ${address} lladdr ${mac} dev ${bridge} nud permanent`),
    ];
  }

  /** Tells the bridge, which neither learns nor floods, where the guests are. */
  async place(taps: readonly Tap[], signal: AbortSignal): Promise<void> {
    if (taps.length === 0) return;
    const places = taps.map(
      ({ machineId, mac }) => `fdb replace ${mac} dev ${tapName(machineId)} master static`,
    );
    await this.commands.run('bridge', ['-batch', '-'], { stdin: `${places.join('\n')}\n`, signal });
  }

  /** Those of the taps that are not as they should be; looks at all at once. */
  async findBroken(taps: readonly Tap[], signal: AbortSignal): Promise<readonly Tap[]> {
    const { bridge } = this.#options;
    const links = new Map((await this.links(['-d'], signal)).map((link) => [link.ifname, link]));
    const entries = z
      .array(z.object({ mac: z.string(), ifname: z.string(), state: z.string().optional() }))
      .parse((await this.commands.json('bridge', ['-j', 'fdb', 'show', 'br', bridge], signal)) ?? []);
    const places = new Set(entries.map(({ mac, ifname }) => `${ifname} ${mac}`));
    const known = new Set((await this.#neighbours(signal)).map(({ dst, lladdr }) => `${dst} ${lladdr}`));
    return taps.filter(({ machineId, uid, mac, addresses }) => {
      const link = links.get(tapName(machineId));
      const isRight =
        link?.master === bridge &&
        link.ifalias === this.alias &&
        link.flags?.includes('UP') === true &&
        link.linkinfo?.info_slave_data?.isolated === true &&
        hasOwner(link, uid) &&
        places.has(`${tapName(machineId)} ${mac}`) &&
        addresses.every((address) => known.has(`${address} ${mac}`));
      return !isRight;
    });
  }

  async detach(machineId: string, signal: AbortSignal): Promise<void> {
    await this.remove(tapName(machineId), signal);
    await this.remove(shaperName(machineId), signal);
  }

  /** Removes every tap and shaper of the bridge that is not one of these machines'. */
  async retain(machineIds: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
    const gone = (await this.#ours(signal)).filter(({ machineId }) => !machineIds.has(machineId));
    if (gone.length > 0)
      await this.ip(
        gone.map(({ name }) => `link delete dev ${name}`),
        signal,
      );
  }

  /** Addresses of guests that the host knows the place of. */
  async knownAddresses(signal: AbortSignal): Promise<readonly string[]> {
    return (await this.#neighbours(signal)).map(({ dst }) => dst);
  }

  /** Those that were told to the host. */
  async #neighbours(signal: AbortSignal): Promise<readonly { dst: string; lladdr?: string | undefined }[]> {
    const shown = await this.commands.json(
      'ip',
      ['-j', 'neighbour', 'show', 'dev', this.#options.bridge, 'nud', 'permanent'],
      signal,
    );
    return z.array(z.object({ dst: z.string(), lladdr: z.string().optional() })).parse(shown ?? []);
  }

  /** Removes the host's knowledge of where these addresses are. */
  async forget(addresses: readonly string[], signal: AbortSignal): Promise<void> {
    for (const address of addresses) {
      await this.ignoringAbsence(
        this.commands.run('ip', ['neighbour', 'del', address, 'dev', this.#options.bridge], { signal }),
      );
    }
  }

  /** Machines that have a tap or a shaper here. */
  async machines(signal: AbortSignal): Promise<ReadonlySet<string>> {
    return new Set((await this.#ours(signal)).map(({ machineId }) => machineId));
  }

  async #ours(
    signal: AbortSignal,
  ): Promise<readonly { readonly name: string; readonly machineId: string }[]> {
    return (await this.links(['-d'], signal)).flatMap((link) => {
      const { ifname: name, master } = link;
      const machineId = machineOfTap(name) ?? machineOfShaper(name);
      const isOurs = master === this.#options.bridge || this.isOurs(link);
      return machineId !== null && isOurs ? [{ name, machineId }] : [];
    });
  }

  async #setSysctls(signal: AbortSignal): Promise<void> {
    const { bridge, ipv6 } = this.#options;
    const v4 = `net/ipv4/conf/${bridge}`;
    const v6 = `net/ipv6/conf/${bridge}`;
    // Published ports of 127.0.0.1 are answered over the bridge; see `raw` in rules/tables.ts.
    const ones = ['net/ipv4/ip_forward', `${v4}/route_localnet`, `${v4}/rp_filter`];
    const zeros = [`${v4}/send_redirects`, `${v4}/accept_redirects`];
    if (ipv6 === null) {
      await this.#write('1', ones, signal);
      await this.#write('0', zeros, signal);
      return;
    }
    await this.#keepRouterAdvertisements(signal);
    await this.#write('1', [...ones, 'net/ipv6/conf/all/forwarding'], signal);
    await this.#write('0', [...zeros, `${v6}/accept_ra`, `${v6}/autoconf`, `${v6}/accept_redirects`], signal);
  }

  /** A host that forwards IPv6 ignores routers' advertisements, and so loses its default route, unless told not to. */
  async #keepRouterAdvertisements(signal: AbortSignal): Promise<void> {
    const names = (await this.links([], signal)).map(({ ifname }) => ifname);
    const paths = names
      .filter((name) => name !== this.#options.bridge)
      .map((name) => `net/ipv6/conf/${name}/accept_ra`);
    for (const path of paths) {
      const { stdout } = await this.commands.run('cat', [`/proc/sys/${path}`], { signal });
      if (stdout.trim() === '1') await this.#write('2', [path], signal);
    }
  }

  async #write(value: string, paths: readonly string[], signal: AbortSignal): Promise<void> {
    await this.commands.run(
      'tee',
      paths.map((path) => `/proc/sys/${path}`),
      { stdin: value, signal },
    );
  }
}

/** Guests reach nobody on the bridge but the host, whatever they send. */
const portOptions = 'isolated on learning off flood off mcast_flood off bcast_flood off guard on';
