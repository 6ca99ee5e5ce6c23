/** A host with a bridge network, a world and guests, for tests of what packets may do, and for the bench. */
import type { NatAttachment } from '../../core/ports/network.ts';
import { parseCidr } from '../addresses.ts';
import { BridgeNetwork } from '../bridge-network.ts';
import type { OuterAddresses } from '../outer-addresses.ts';
import { Internet, type Namespace } from './namespaces.ts';

export const gateway = '10.77.0.1';
export const hostAddress = '198.51.100.1';
export const worldAddress = '198.51.100.2';
/** Bounds every call of the driver. */
export const patience = () => AbortSignal.timeout(60_000);

export interface Guest {
  readonly attachment: NatAttachment;
  readonly space: Namespace;
}

export class Scene implements AsyncDisposable {
  readonly internet: Internet;
  readonly network: BridgeNetwork;
  #made = 0;

  private constructor(internet: Internet, network: BridgeNetwork) {
    this.internet = internet;
    this.network = network;
  }

  static async make(
    options: {
      readonly ipv6?: string;
      readonly dns?: readonly string[];
      readonly outerAddresses?: () => OuterAddresses;
    } = {},
  ): Promise<Scene> {
    await using opened = new AsyncDisposableStack();
    const internet = opened.use(await Internet.make());
    const network = makeNetwork(internet.host.path, options.ipv6, options.dns, options.outerAddresses);
    await network.open(patience());
    await network.restore([], patience());
    opened.move();
    return new Scene(internet, network);
  }

  get host(): Namespace {
    return this.internet.host;
  }
  get world(): Namespace {
    return this.internet.world;
  }

  /** Without a guest. */
  attachment(given: Partial<NatAttachment> = {}): NatAttachment {
    this.#made += 1;
    return makeAttachment(this.#made, given);
  }

  async guest(given: Partial<NatAttachment> = {}): Promise<Guest> {
    const guest = await this.unattached(given);
    await this.network.attach(guest.attachment, patience());
    return guest;
  }

  /** One whose interface is there before the driver knows of it. */
  async unattached(given: Partial<NatAttachment> = {}): Promise<Guest> {
    const attachment = this.attachment(given);
    const { addresses, gateways } = this.network.guestNetwork(attachment);
    const space = await this.internet.guest({
      machineId: attachment.machineId,
      mac: attachment.mac,
      addresses: addresses.map(({ address, prefix }) => `${address}/${prefix}`),
      gateways,
    });
    return { attachment, space };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.network.close();
    await this.internet[Symbol.asyncDispose]();
  }
}

export function makeNetwork(
  netns: string,
  ipv6?: string,
  dns?: readonly string[],
  outerAddresses?: () => OuterAddresses,
): BridgeNetwork {
  return new BridgeNetwork({
    bridge: 'flotilla0',
    owner: '/var/lib/flotilla',
    netns,
    ipv4: parseCidr('10.77.0.0/16'),
    ipv6: ipv6 === undefined ? null : parseCidr(ipv6),
    dns: dns ?? null,
    uidBase: 600_000,
    ...(outerAddresses === undefined ? {} : { outerAddresses }),
  });
}

export function makeAttachment(number: number, given: Partial<NatAttachment> = {}): NatAttachment {
  // The first address is the gateway's.
  const low = [(number + 1) >> 8, (number + 1) & 255] as const;
  const hex = (value: number) => value.toString(16).padStart(2, '0');
  return {
    kind: 'nat',
    machineId: `m${String(number).padStart(11, '0')}`,
    tenant: 'default',
    name: `machine-${number}`,
    slot: number,
    mac: `02:fa:00:00:${hex(low[0])}:${hex(low[1])}`,
    ipv4: `10.77.${low[0]}.${low[1]}`,
    ipv6: null,
    group: null,
    egress: { kind: 'allow' },
    bandwidth: { egress: null, ingress: null },
    ports: [],
    ...given,
  };
}
