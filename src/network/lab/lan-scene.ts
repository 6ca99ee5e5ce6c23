/**
 * A host with a bridge `br0` of its operator, a station on that network beside it, and guests, for tests of what frames may
 * do. The station is a router and a DHCP server if `dnsmasq` runs there. All of it is removed by `dispose`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LanAttachment } from '../../core/ports/network.ts';
import { silentLog } from '../../lib/log.ts';
import { LanNetwork } from '../lan/lan-network.ts';
import { lanTapName } from '../names.ts';
import { Namespace } from './namespaces.ts';

export const stationAddress = '192.168.7.1';
export const lanHostAddress = '192.168.7.2';
/** Addresses that the DHCP server gives. */
export const pool = { first: '192.168.7.10', last: '192.168.7.99' } as const;

/** A bridge of the operator in the namespace of a host, and a station on its network. */
export class Lan implements AsyncDisposable {
  readonly host: Namespace;
  readonly station: Namespace;
  readonly directory: string;
  #server: ChildProcess | null = null;

  private constructor(host: Namespace, station: Namespace, directory: string) {
    this.host = host;
    this.station = station;
    this.directory = directory;
  }

  static async make(host: Namespace): Promise<Lan> {
    await using opened = new AsyncDisposableStack();
    const station = opened.use(await Namespace.make());
    const directory = await mkdtemp(join(tmpdir(), 'flotilla-lan-'));
    await host.ip(
      'link add br0 type bridge',
      `link add port0 type veth peer name eth0 netns ${station.name}`,
      'link set port0 master br0',
      `address add ${lanHostAddress}/24 dev br0`,
      'link set br0 up',
      'link set port0 up',
    );
    await station.ip(
      `address add ${stationAddress}/24 dev eth0`,
      'address add fd07::1/64 dev eth0 nodad',
      'link set eth0 up',
      // A host of the world behind this router, and a metadata server.
      'address add 203.0.113.9/32 dev lo',
      'address add 169.254.169.254/32 dev lo',
    );
    opened.move();
    return new Lan(host, station, directory);
  }

  /** Starts a DHCP server on the station. `leases`: what it has given so far. */
  async serveDhcp(
    options: readonly string[] = [],
    range: typeof pool | { readonly first: string; readonly last: string } = pool,
  ): Promise<void> {
    this.#server = await startDhcp(this.station, 'eth0', this.leaseFile, range, options);
  }

  get leaseFile(): string {
    return join(this.directory, 'leases');
  }

  async stopDhcp(): Promise<void> {
    await stop(this.#server);
    this.#server = null;
  }

  /** Of a server that is stopped. */
  async forgetLeases(): Promise<void> {
    await rm(this.leaseFile, { force: true });
  }

  /** The address that the server has given to a hardware address; null: none. */
  async leaseOf(mac: string): Promise<string | null> {
    const text = await readFile(this.leaseFile, 'utf8').catch(() => '');
    const line = text.split('\n').find((each) => each.split(' ')[1] === mac);
    return line?.split(' ')[2] ?? null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopDhcp();
    await this.station[Symbol.asyncDispose]();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** Resolves when it has its sockets. */
export async function startDhcp(
  space: Namespace,
  device: string,
  leaseFile: string,
  { first, last }: { readonly first: string; readonly last: string },
  options: readonly string[] = [],
): Promise<ChildProcess> {
  const config = `${leaseFile}.conf`;
  await writeFile(config, '');
  const server = spawn(
    'nsenter',
    [
      `--net=${space.path}`,
      '--',
      'dnsmasq',
      '--keep-in-foreground',
      '--log-facility=-',
      '--user=root',
      '--no-ping',
      '--port=0',
      `--conf-file=${config}`,
      `--pid-file=`,
      `--interface=${device}`,
      '--bind-interfaces',
      `--dhcp-leasefile=${leaseFile}`,
      `--dhcp-range=${first},${last},2m`,
      ...options,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'], env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } },
  );
  let said = '';
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.once('exit', (code) => reject(new Error(`dnsmasq ended with ${code}: ${said}`)));
    server.stderr?.on('data', (data: Buffer) => {
      said += data.toString();
      if (/sockets bound exclusively|DHCP, IP range/.test(said)) resolve();
    });
  });
  return server;
}

export async function stop(server: ChildProcess | null): Promise<void> {
  if (server === null || server.exitCode !== null || server.signalCode !== null) return;
  const ended = once(server, 'exit');
  server.kill('SIGKILL');
  await ended;
}

export interface LanGuest {
  readonly attachment: LanAttachment;
  readonly space: Namespace;
}

export class LanScene implements AsyncDisposable {
  readonly lan: Lan;
  readonly host: Namespace;
  readonly network: LanNetwork;
  readonly #guests: Namespace[] = [];
  #made = 0;

  private constructor(host: Namespace, lan: Lan, network: LanNetwork) {
    this.host = host;
    this.lan = lan;
    this.network = network;
  }

  static async make(): Promise<LanScene> {
    await using opened = new AsyncDisposableStack();
    const host = opened.use(await Namespace.make());
    const lan = opened.use(await Lan.make(host));
    const network = makeLanNetwork(host.path);
    await network.restore([], AbortSignal.timeout(60_000));
    opened.move();
    return new LanScene(host, lan, network);
  }

  /** Without a guest. */
  attachment(given: Partial<LanAttachment> = {}): LanAttachment {
    this.#made += 1;
    const number = this.#made;
    return {
      kind: 'lan',
      machineId: `m${String(number).padStart(11, '0')}`,
      tenant: 'default',
      name: `machine-${number}`,
      slot: number,
      mac: `06:fa:00:00:00:${number.toString(16).padStart(2, '0')}`,
      bridge: 'br0',
      fixed: { address: `192.168.7.${128 + number}`, prefix: 24, gateway: stationAddress, resolvers: [] },
      group: null,
      egress: { kind: 'allow' },
      bandwidth: { egress: null, ingress: null },
      ...given,
    };
  }

  /** A namespace behind the place of the machine's tap, set up as the guest agent would. */
  async guest(given: Partial<LanAttachment> = {}): Promise<LanGuest> {
    const attachment = this.attachment(given);
    const space = await Namespace.make();
    this.#guests.push(space);
    const { machineId, mac, fixed } = attachment;
    await this.host.ip(
      `link add ${lanTapName(machineId)} type veth peer name eth0 address ${mac} netns ${space.name}`,
    );
    await space.ip('link set eth0 up');
    if (fixed !== null)
      await space.ip(
        `address add ${fixed.address}/${fixed.prefix} dev eth0`,
        ...(fixed.gateway === null ? [] : [`route add default via ${fixed.gateway}`]),
      );
    await this.network.attach(attachment, AbortSignal.timeout(60_000));
    return { attachment, space };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const space of this.#guests) await space[Symbol.asyncDispose]();
    await this.lan[Symbol.asyncDispose]();
    await this.host[Symbol.asyncDispose]();
  }
}

export function makeLanNetwork(netns: string): LanNetwork {
  return new LanNetwork({
    bridges: [{ name: 'br0', fixedRange: '192.168.7.128/25' }],
    ownBridge: 'flotilla0',
    owner: '/var/lib/flotilla',
    netns,
    uidBase: 600_000,
    never: () => ['10.77.0.0/16'],
    log: silentLog,
  });
}
