/**
 * The network of a host without a bridge: the guest's interface is made by its VMM and reaches nothing, not even the
 * host. The daemon carries connections to published ports over the guest link. Needs no rights and no programs.
 */

import { AppError } from '../core/errors.ts';
import type {
  BusyPorts,
  DeniedEgress,
  GuestDialler,
  GuestNetwork,
  NatAttachment,
  Network,
  NetworkFacts,
  NetworkUsage,
  NicAttachment,
  PortWish,
} from '../core/ports/network.ts';
import type { Logger } from '../lib/log.ts';
import { type Cidr, formatCidr } from './addresses.ts';
import { readBusyPorts } from './busy-ports.ts';
import { type ForwardLimits, tryToListen } from './forwarder/forwarded-port.ts';
import { Forwarder } from './forwarder/forwarder.ts';
import { HostCommands } from './host-commands.ts';

export interface UserNetworkOptions {
  /** Why there is no bridge, and what to do about it. */
  readonly reason: string;
  readonly ipv4: Cidr;
  readonly log: Logger;
  readonly limits?: ForwardLimits;
}

export class UserNetwork implements Network<NatAttachment> {
  readonly facts: NetworkFacts;
  readonly #attached = new Set<string>();
  readonly #forwarder: Forwarder;
  #dial: GuestDialler = async () => {
    throw new AppError('unavailable', 'the daemon does not reach guests yet');
  };

  constructor({ reason, ipv4, log, limits }: UserNetworkOptions) {
    this.facts = {
      kind: 'user',
      reason,
      ipv4: formatCidr(ipv4),
      ipv6: null,
      lan: { bridges: [], reason: null },
    };
    this.#forwarder = new Forwarder({
      dial: (...given) => this.#dial(...given),
      log,
      ...(limits === undefined ? {} : { limits }),
    });
  }

  connectBy(dial: GuestDialler): void {
    this.#dial = dial;
  }

  async attach({ machineId, mac, ports }: NatAttachment): Promise<NicAttachment> {
    this.#attached.add(machineId);
    await this.#forwarder.publish(machineId, ports);
    return { kind: 'isolated', mac };
  }

  /** Each guest is alone in a network of its own: nothing answers there, so it has no gateway and no resolver. */
  guestNetwork({ mac, ipv4 }: NatAttachment): GuestNetwork {
    const addresses = [{ address: ipv4, prefix: 32 }];
    return { mac, addresses, gateways: [], resolvers: [], searchDomains: [] };
  }

  async update({ machineId, ports }: NatAttachment): Promise<void> {
    if (this.#attached.has(machineId)) await this.#forwarder.publish(machineId, ports);
  }

  async detach(machineId: string): Promise<void> {
    await this.#forwarder.publish(machineId, []);
    this.#attached.delete(machineId);
  }

  async restore(attachments: readonly NatAttachment[]): Promise<void> {
    const wanted = new Set(attachments.map(({ machineId }) => machineId));
    for (const machineId of [...this.#attached]) if (!wanted.has(machineId)) await this.detach(machineId);
    const errors: unknown[] = [];
    for (const attachment of attachments) {
      await this.attach(attachment).catch((error: unknown) => errors.push(error));
    }
    if (errors.length > 0) throw errors[0];
  }

  async list(): Promise<readonly string[]> {
    return [...this.#attached];
  }

  async tryPort({ protocol, bind, hostPort }: PortWish): Promise<void> {
    if (protocol === 'tcp' && !(hostPort !== null && this.#forwarder.open.has(hostPort)))
      await tryToListen({ bind, hostPort });
  }

  /** Without those on which the daemon listens for machines: whose they are is recorded. */
  async busyPorts(signal: AbortSignal): Promise<BusyPorts> {
    const { open } = this.#forwarder;
    const { tcp, udp } = await readBusyPorts(new HostCommands(null), signal);
    return { tcp: new Set([...tcp].filter((port) => !open.has(port))), udp };
  }

  /** The VMM counts; nobody reads it. */
  async measure(): Promise<NetworkUsage | null> {
    return null;
  }

  async denied(): Promise<readonly DeniedEgress[]> {
    return [];
  }

  /** What is wrong is put right by `restore`. */
  troubleOf(): null {
    return null;
  }

  async close(): Promise<void> {
    await this.#forwarder.close();
  }
}
