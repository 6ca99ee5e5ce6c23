/**
 * Taps of machines on bridges of the operator. The bridges are never made, changed or removed here. Looks before it acts,
 * so that every call may be repeated. A tap's rules are in force before `make` makes it (see LanNetwork).
 */
import { z } from 'zod';
import { AppError } from '../../core/errors.ts';
import { Devices, hasOwner, type Link } from '../devices.ts';
import { lanShaperName, lanTapName, machineOfLanShaper, machineOfLanTap } from '../names.ts';

/** A tap as it should be. */
export interface LanTap {
  readonly machineId: string;
  readonly uid: number;
  readonly mac: string;
  readonly bridge: string;
  /** Whether it may exchange frames with taps of other machines at all; the rules decide which. */
  readonly isIsolated: boolean;
}

export class LanLinks extends Devices {
  /** Makes the tap, or makes it right. A new one is down until `raise`. Raises `unavailable` when there is no such bridge. */
  async make({ machineId, uid, mac, bridge, isIsolated }: LanTap, signal: AbortSignal): Promise<void> {
    const { mtu } = await this.#bridge(bridge, signal);
    const name = lanTapName(machineId);
    const link = await this.find(name, signal);
    const isWrong = link !== null && !hasOwner(link, uid);
    await this.ip(
      [
        ...(isWrong ? [`link delete dev ${name}`] : []),
        // What is no tap stays: tests put one end of a veth there.
        ...(link === null || isWrong ? [`tuntap add dev ${name} mode tap user ${uid} vnet_hdr`] : []),
        `link set dev ${name} alias ${this.alias}`,
        `link set dev ${name} addrgenmode none`,
        // A bridge takes the lowest hardware address and the smallest MTU of its ports: the tap must change neither.
        `link set dev ${name} address fe:ff:${mac.slice(6)}`,
        ...(mtu === undefined ? [] : [`link set dev ${name} mtu ${mtu}`]),
        `link set dev ${name} master ${bridge}`,
        `link set dev ${name} type bridge_slave isolated ${isIsolated ? 'on' : 'off'} ${portOptions}`,
      ],
      signal,
    );
    // The port does not learn, so the bridge must be told who is there.
    await this.commands.run('bridge', ['fdb', 'replace', mac, 'dev', name, 'master', 'static'], { signal });
  }

  /** Raises `unavailable` when the host has no bridge of this name. */
  async #bridge(name: string, signal: AbortSignal): Promise<Link> {
    const link = await this.find(name, signal);
    if (link?.linkinfo?.info_kind === 'bridge') return link;
    throw missingBridge(name, link !== null);
  }

  /** Those of the taps that are not as they should be, each with whether its bridge is there. */
  async findBroken(
    taps: readonly LanTap[],
    signal: AbortSignal,
  ): Promise<readonly { readonly tap: LanTap; readonly hasBridge: boolean }[]> {
    if (taps.length === 0) return [];
    const links = new Map((await this.links(['-d'], signal)).map((link) => [link.ifname, link]));
    const entries = z
      .array(z.object({ mac: z.string(), ifname: z.string() }))
      .parse((await this.commands.json('bridge', ['-j', 'fdb', 'show'], signal)) ?? []);
    const places = new Set(entries.map(({ mac, ifname }) => `${ifname} ${mac}`));
    return taps.flatMap((tap) => {
      const name = lanTapName(tap.machineId);
      const link = links.get(name);
      const isRight =
        link?.master === tap.bridge &&
        link.ifalias === this.alias &&
        link.flags?.includes('UP') === true &&
        link.linkinfo?.info_slave_data?.isolated === tap.isIsolated &&
        hasOwner(link, tap.uid) &&
        places.has(`${name} ${tap.mac}`);
      return isRight ? [] : [{ tap, hasBridge: links.get(tap.bridge)?.linkinfo?.info_kind === 'bridge' }];
    });
  }

  async detach(machineId: string, signal: AbortSignal): Promise<void> {
    await this.remove(lanTapName(machineId), signal);
    await this.remove(lanShaperName(machineId), signal);
  }

  /** Removes every tap and shaper of this daemon that is not one of these machines'. */
  async retain(machineIds: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
    for (const { name, machineId } of await this.#ours(signal))
      if (!machineIds.has(machineId)) await this.remove(name, signal);
  }

  /** Machines that have a tap or a shaper here. */
  async machines(signal: AbortSignal): Promise<readonly string[]> {
    return (await this.#ours(signal)).map(({ machineId }) => machineId);
  }

  async #ours(
    signal: AbortSignal,
  ): Promise<readonly { readonly name: string; readonly machineId: string }[]> {
    return (await this.links(['-d'], signal)).flatMap((link) => {
      const { ifname: name } = link;
      const machineId = machineOfLanTap(name) ?? machineOfLanShaper(name);
      return machineId !== null && this.isOurs(link) ? [{ name, machineId }] : [];
    });
  }
}

/** The bridge sends a guest what is meant for it, and broadcasts: questions of ARP, and answers of DHCP servers. */
const portOptions = 'learning off flood off mcast_flood off bcast_flood on guard on';

export function missingBridge(name: string, isOther: boolean): AppError {
  const what = isOther ? 'is no bridge' : 'is not there';
  return new AppError('unavailable', `the bridge ${name} of this host ${what}`, {
    hint: `The operator makes it, for example: ip link add ${name} type bridge; or takes it out of FLOTILLA_NETWORK_LAN_BRIDGES.`,
  });
}
