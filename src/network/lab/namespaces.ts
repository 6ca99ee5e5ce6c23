/**
 * Network namespaces for tests and the bench: one for the host, one for the world, one for each guest, each with a process in it
 * that connects and listens. All are removed by `dispose`.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { run } from '../../lib/process.ts';
import { tapName } from '../names.ts';
import type { Reply, Request } from './probe.ts';

/** Why the tests of this room cannot run here; null when they can. */
export async function whyNoNamespaces(): Promise<string | null> {
  if (process.geteuid?.() !== 0) return 'only root can make network namespaces';
  for (const program of ['ip', 'bridge', 'tc', 'nft', 'nsenter', 'conntrack']) {
    const works = await run('which', [program], { timeoutMs: 10_000, env: sbin }).then(
      () => true,
      () => false,
    );
    if (!works) return `${program} is not installed`;
  }
  const name = `ft${process.pid}x`;
  try {
    await run('ip', ['netns', 'add', name], { timeoutMs: 10_000, env: sbin });
    await run('ip', ['netns', 'delete', name], { timeoutMs: 10_000, env: sbin });
    return null;
  } catch (error) {
    return `no network namespace can be made: ${error instanceof Error ? error.message : String(error)}`;
  }
}

const sbin = { PATH: '/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin' };
/** Long enough for a loaded host to answer; waited for in full only where no answer comes. */
const answerMs = 5_000;
/** How long an answer is waited for that should not come. */
export const silenceMs = 700;

let made = 0;

export class Namespace implements AsyncDisposable {
  readonly name: string;
  readonly path: string;
  readonly #waiting = new Map<number, PromiseWithResolvers<string | null>>();
  #probe: ChildProcess | null = null;
  #asked = 0;

  private constructor(name: string) {
    this.name = name;
    this.path = `/run/netns/${name}`;
  }

  static async make(): Promise<Namespace> {
    made += 1;
    const space = new Namespace(`ft${process.pid}n${made}`);
    await run('ip', ['netns', 'add', space.name], { timeoutMs: 10_000, env: sbin });
    await space.run('ip', ['link', 'set', 'lo', 'up']);
    return space;
  }

  async run(program: string, args: readonly string[], stdin?: string): Promise<string> {
    const { stdout } = await run('nsenter', [`--net=${this.path}`, '--', program, ...args], {
      timeoutMs: 20_000,
      env: sbin,
      outputBytesMax: 64 << 20,
      ...(stdin === undefined ? {} : { stdin }),
    });
    return stdout;
  }

  /** Lines for `ip -batch`. */
  async ip(...lines: readonly string[]): Promise<void> {
    await this.run('ip', ['-batch', '-'], `${lines.join('\n')}\n`);
  }

  async serve(protocol: 'tcp' | 'udp', port: number, host = '0.0.0.0'): Promise<void> {
    await this.#ask({ kind: 'serve', protocol, host, port });
  }

  /** What the server answered; null when it did not. */
  ask(
    protocol: 'tcp' | 'udp',
    host: string,
    port: number,
    options: { readonly from?: string; readonly timeoutMs?: number } = {},
  ): Promise<string | null> {
    const { from = null, timeoutMs = answerMs } = options;
    return this.#ask({ kind: 'ask', protocol, host, port, from, timeoutMs });
  }

  /** The milliseconds of each of `count` requests, one after another, each over a connection of its own. */
  async time(host: string, port: number, count: number): Promise<readonly number[]> {
    return JSON.parse((await this.#ask({ kind: 'time', host, port, count })) ?? '[]') as number[];
  }

  /** A connection for `say`. */
  async open(host: string, port: number): Promise<number> {
    const text = await this.#ask({ kind: 'open', host, port, timeoutMs: answerMs });
    if (text === null) throw new Error(`no connection to ${host}:${port}`);
    return Number(text);
  }

  say(connection: number, text: string, timeoutMs = answerMs): Promise<string | null> {
    return this.#ask({ kind: 'say', connection, text, timeoutMs });
  }

  /** The code and the addresses, such as `NOERROR 192.0.2.1`; null without an answer. */
  resolve(
    server: string,
    name: string,
    options: {
      readonly type?: 'A' | 'AAAA' | 'TXT';
      readonly isStream?: boolean;
      readonly timeoutMs?: number;
    } = {},
  ): Promise<string | null> {
    const { type = 'A', isStream = false, timeoutMs = answerMs } = options;
    return this.#ask({ kind: 'resolve', server, name, type, isStream, timeoutMs });
  }

  /** Joins connections to this address with a unix socket, which other namespaces reach as well. */
  async relay(host: string, port: number, path: string): Promise<void> {
    await this.#ask({ kind: 'relay', host, port, path });
  }

  /** Begins to send datagrams without end. */
  async flood(from: string, host: string, port: number): Promise<void> {
    await this.#ask({ kind: 'flood', from, host, port });
  }

  /** Sends one datagram from each of as many ports. */
  async crowd(host: string, port: number, count: number): Promise<void> {
    await this.#ask({ kind: 'crowd', host, port, count });
  }

  async scan(host: string, ports: readonly number[]): Promise<void> {
    await this.#ask({ kind: 'scan', host, ports });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const probe = this.#probe;
    if (probe !== null && probe.exitCode === null) {
      const exited = once(probe, 'exit');
      probe.kill('SIGKILL');
      await exited;
    }
    await run('ip', ['netns', 'delete', this.name], { timeoutMs: 10_000, env: sbin });
  }

  async #ask(request: Request): Promise<string | null> {
    const probe = this.#probe ?? (await this.#startProbe());
    this.#asked += 1;
    const waiting = Promise.withResolvers<string | null>();
    this.#waiting.set(this.#asked, waiting);
    probe.send({ id: this.#asked, request });
    return waiting.promise;
  }

  async #startProbe(): Promise<ChildProcess> {
    const probe = fork(join(import.meta.dirname, 'probe.ts'), [], {
      execPath: 'nsenter',
      execArgv: [`--net=${this.path}`, '--', process.execPath],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#probe = probe;
    const ready = Promise.withResolvers<string | null>();
    this.#waiting.set(0, ready);
    probe.on('message', (reply: Reply) => {
      const waiting = this.#waiting.get(reply.id);
      this.#waiting.delete(reply.id);
      if ('error' in reply) waiting?.reject(new Error(reply.error));
      else waiting?.resolve(reply.text);
    });
    probe.once('exit', () => {
      for (const waiting of this.#waiting.values()) waiting.reject(new Error('the probe has ended'));
      this.#waiting.clear();
    });
    await ready.promise;
    return probe;
  }
}

/** A host whose uplink leads to the world, at 198.51.100.1 and 198.51.100.2. */
export class Internet implements AsyncDisposable {
  readonly host: Namespace;
  readonly world: Namespace;
  readonly #guests: Namespace[] = [];

  private constructor(host: Namespace, world: Namespace) {
    this.host = host;
    this.world = world;
  }

  static async make(): Promise<Internet> {
    await using opened = new AsyncDisposableStack();
    const host = opened.use(await Namespace.make());
    const world = opened.use(await Namespace.make());
    await host.ip(
      `link add uplink type veth peer name eth0 netns ${world.name}`,
      'address add 198.51.100.1/24 dev uplink',
      'address add 2001:db8:1::1/64 dev uplink nodad',
      'link set uplink up',
      'route add default via 198.51.100.2',
      'route add ::/0 via 2001:db8:1::2',
    );
    await world.ip(
      'address add 198.51.100.2/24 dev eth0',
      'address add 203.0.113.7/32 dev lo',
      'address add 2001:db8:1::2/64 dev eth0 nodad',
      'link set eth0 up',
      // The host's own guests are no part of the world; it can reach them only if it tries.
      'route add 10.77.0.0/16 via 198.51.100.1',
    );
    // Counts what arrives from the host, before anything is decided about it. A bare reset is the host's own answer to a
    // packet of the world whose flow it has forgotten, which comes whenever the world sends again.
    await world.run(
      'nft',
      ['-f', '-'],
      `table inet seen {
        set packets4 { type ipv4_addr . ipv4_addr . inet_proto . inet_service; size 65536; flags dynamic; counter; }
        set packets6 { type ipv6_addr . ipv6_addr . inet_proto . inet_service; size 65536; flags dynamic; counter; }
        chain arrived { type filter hook prerouting priority raw; policy accept;
          tcp flags & (fin | syn | rst | ack) == rst accept
          iifname eth0 meta l4proto { tcp, udp } update @packets4 { ip saddr . ip daddr . meta l4proto . th dport counter }
          iifname eth0 meta l4proto != { tcp, udp, icmpv6 } update @packets4 { ip saddr . ip daddr . meta l4proto . 0 counter }
          iifname eth0 meta l4proto { tcp, udp } update @packets6 { ip6 saddr . ip6 daddr . meta l4proto . th dport counter }
        }
      }`,
    );
    opened.move();
    return new Internet(host, world);
  }

  /** A namespace behind the place of the machine's tap, set up as the guest agent would. */
  async guest(given: {
    readonly machineId: string;
    readonly mac: string;
    readonly addresses: readonly string[];
    readonly gateways: readonly string[];
  }): Promise<Namespace> {
    const guest = await Namespace.make();
    this.#guests.push(guest);
    await this.host.ip(
      `link add ${tapName(given.machineId)} type veth peer name eth0 address ${given.mac} netns ${guest.name}`,
    );
    await guest.ip(
      'link set eth0 up',
      ...given.addresses.map((address) => `address add ${address} dev eth0 nodad`),
      ...given.gateways.flatMap((gateway) => [
        `route add ${gateway} dev eth0`,
        `route add ${gateway.includes(':') ? '::/0' : '0.0.0.0/0'} via ${gateway} dev eth0`,
      ]),
    );
    return guest;
  }

  /** Packets that the world has received so far, by `protocol port`. */
  async seen(): Promise<ReadonlyMap<string, number>> {
    const seen = new Map<string, number>();
    for (const set of ['packets4', 'packets6']) {
      const text = await this.world.run('nft', ['-j', 'list', 'set', 'inet', 'seen', set]);
      const shown = JSON.parse(text) as { nftables: { set?: { elem?: SeenElement[] } }[] };
      for (const { elem } of shown.nftables.find((each) => each.set)?.set?.elem ?? []) {
        const key = elem.val.concat.slice(2).join(' ');
        seen.set(key, (seen.get(key) ?? 0) + elem.counter.packets);
      }
    }
    return seen;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const space of [...this.#guests, this.world, this.host]) await space[Symbol.asyncDispose]();
  }
}

interface SeenElement {
  readonly elem: { val: { concat: (string | number)[] }; counter: { packets: number } };
}
