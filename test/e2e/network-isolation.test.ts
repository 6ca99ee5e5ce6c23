/**
 * What real guests may not do to one another and to the host, of one tenant and of two: with the programs that guests
 * have, and with frames that only a hostile root sends. The daemon makes its bridge in its own network namespace, as it
 * does on a usual host, with IPv6.
 */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { FlotillaClient } from '../../sdk/src/index.ts';
import { Internet, whyNoNamespaces } from '../../src/network/lab/namespaces.ts';
import { tapName } from '../../src/network/names.ts';
import { clientInside, type DaemonProcess, launchDaemonIn, makeStateDirectory } from '../support/daemon.ts';
import { FrameSender } from '../support/frame-sender.ts';
import {
  arpFrame,
  broadcast,
  neighbourDiscovery,
  neighbourFrame,
  routerFrame,
  sourcePort,
  tagged,
  udpFrame,
  unreachableFrame,
} from '../support/frames.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const reason = await whyNoNamespaces();
if (reason !== null) console.warn(`not run: ${reason}`);

const gateway = '10.77.0.1';
const gateway6 = 'fd77::1';
const hostAddress = '198.51.100.1';
const hostAddress6 = '2001:db8:1::1';
const worldAddress = '198.51.100.2';
const worldAddress6 = '2001:db8:1::2';
const metadata = '169.254.169.254';
const web = 80;

/** As `nft -j` shows an element of the set of frames. */
interface HeardFrame {
  readonly elem: {
    readonly val: { readonly concat: readonly string[] };
    readonly counter: { readonly packets: number };
  };
}

/** A machine that serves its name as a page. */
interface Guest {
  readonly name: string;
  readonly client: FlotillaClient;
  readonly tap: string;
  readonly mac: string;
  readonly ip: string;
  readonly ip6: string;
}

describe.skipIf(reason !== null)('real guests', () => {
  let internet: Internet;
  let state: Awaited<ReturnType<typeof makeStateDirectory>>;
  let daemon: DaemonProcess;
  let sender: FrameSender;
  let one: Guest;
  let two: Guest;
  let aside: Guest;
  let stranger: Guest;
  let bridgeMac: string;

  const shell = async ({ client, name }: Guest, script: string) =>
    (await client.machines.exec(name, { command: ['sh', '-c', script], timeout: 60 })).stdout;
  /** The page of a web server as the guest gets it; empty without an answer. (wget's own timeout ends it with SIGSEGV.) */
  const askFor = (guest: Guest, host: string, port: number, seconds: number) =>
    shell(guest, `timeout ${seconds} wget -q -O - http://${host}:${port}/ 2>/dev/null`);
  const fetchPage = (guest: Guest, host: string) => askFor(guest, host, web, 30);
  /** Expects no answer, for which it does not wait as long as a busy host may need. */
  const expectNoPage = async (guest: Guest, host: string, port: number = web) =>
    expect(await askFor(guest, host, port, 2)).toBe('');

  async function tenant(name: string): Promise<FlotillaClient> {
    const { key } = await daemon.client.keys.create({ name, tenant: name, scopes: ['*'] });
    return clientInside(state.path, daemon.url, key);
  }

  async function guest(client: FlotillaClient, name: string, group?: string): Promise<Guest> {
    const network = group === undefined ? {} : { group };
    const spec = { name, vcpu_count: 1, mem_size_mib: 128, image: 'busybox', network };
    const { id } = await client.machines.create(spec);
    const shown = await client.machines.start(name);
    expect(shown.network).toMatchObject({ kind: 'bridge', note: null });
    const { ip, ipv6, mac } = shown.network;
    const made = { name, client, tap: tapName(id), mac: mac ?? '', ip: ip ?? '', ip6: ipv6 ?? '' };
    await shell(made, `mkdir -p /srv && echo ${name} > /srv/index.html && httpd -p [::]:${web} -h /srv`);
    return made;
  }

  beforeAll(async () => {
    sender = await FrameSender.build();
    internet = await Internet.make();
    state = await makeStateDirectory();
    daemon = await launchDaemonIn(internet.host.path, state.path, {
      ...{ FLOTILLA_NETWORK: 'bridge', FLOTILLA_NETWORK_IPV6: 'fd77::/64', FLOTILLA_LISTEN: '0.0.0.0' },
    });
    await internet.world.serve('tcp', 7777);
    const [acme, globex] = [await tenant('acme'), await tenant('globex')];
    [one, two, aside, stranger] = [
      await guest(acme, 'one', 'shop'),
      await guest(acme, 'two', 'shop'),
      await guest(acme, 'aside'),
      await guest(globex, 'stranger', 'shop'),
    ];
    const [bridge] = JSON.parse(await internet.host.run('ip', ['-j', 'link', 'show', 'flotilla0']));
    bridgeMac = bridge.address;
  });
  afterAll(async () => {
    for (const { client, name } of [one, two, aside, stranger])
      await client?.machines.delete(name, { force: true });
    await daemon?.terminate();
    await state?.remove();
    await internet?.[Symbol.asyncDispose]();
  });

  test('reach members of their group, by name and by address', async () => {
    for (const host of ['two.flotilla.internal', 'two', two.ip, `[${two.ip6}]`])
      expect(await fetchPage(one, host)).toBe('two\n');
    expect(await fetchPage(two, 'one.flotilla.internal')).toBe('one\n');
  });

  test('reach no other machine, neither of another tenant nor of their own', async () => {
    for (const { name, ip, ip6 } of [aside, stranger]) {
      for (const host of [ip, `[${ip6}]`, `${name}.flotilla.internal`]) await expectNoPage(one, host);
    }
    for (const { ip, ip6 } of [one, two]) {
      for (const from of [aside, stranger])
        for (const host of [ip, `[${ip6}]`]) await expectNoPage(from, host);
    }
    // Each serves, and sees itself by its name.
    for (const each of [aside, stranger]) {
      expect(await fetchPage(each, `${each.name}.flotilla.internal`)).toBe(`${each.name}\n`);
    }
  });

  test('reach no address of the host, whatever listens there, and no metadata server', async () => {
    const daemonPort = Number(new URL(daemon.url).port);
    const { host, world } = internet;
    await host.ip(`address add ${metadata}/32 dev uplink`);
    await world.ip(`address add ${metadata}/32 dev lo`);
    // Of both families.
    await host.serve('tcp', 3001, '::');
    await world.serve('tcp', web, '::');
    const listening = await host.run('ss', ['-Htln', 'sport', '=', `:${daemonPort}`]);
    expect(listening).toContain(`0.0.0.0:${daemonPort}`);
    const before = await internet.seen();
    for (const address of [gateway, hostAddress, metadata]) {
      for (const port of [daemonPort, 3001, web]) await expectNoPage(one, address, port);
      expect(await host.ask('tcp', address, 3001)).not.toBeNull();
    }
    for (const address of [gateway6, hostAddress6]) await expectNoPage(one, `[${address}]`, 3001);
    expect(await internet.seen()).toEqual(before);
    // What its own kernel would keep goes through the gateway.
    await shell(one, `ip route add table local 127.0.0.5/32 via ${gateway} dev eth0 onlink`);
    await expectNoPage(one, '127.0.0.5', daemonPort);
  });

  describe('with a hostile root', () => {
    /**
     * The frames that came out at the taps of all others, as `from → to, type: count`, without what these say to one
     * another and to the resolver, and what the host truly answers when they ask who it is.
     */
    const received = async () => {
      const text = await internet.host.run('nft', ['-j', 'list', 'set', 'bridge', 'heard', 'frames']);
      const shown = JSON.parse(text) as { nftables: { set?: { elem?: HeardFrame[] } }[] };
      const frames = shown.nftables.flatMap(({ set }) => set?.elem ?? []);
      return frames.map(({ elem: { val, counter } }) => {
        const [from, to, type] = val.concat;
        return `${from} → ${to}, ${type}: ${counter.packets}`;
      });
    };
    const places = async () =>
      (await internet.host.run('ip', ['neighbour', 'show', 'dev', 'flotilla0', 'nud', 'permanent']))
        .split('\n')
        .sort();
    const send = (frames: readonly Buffer[]) => sender.once(stranger.client, stranger.name, frames);
    const arrived = async (port: number) => (await internet.seen()).get(`udp ${port}`) ?? 0;
    /** The sender is done when the guest's kernel has the frames; this one follows them through the same queue. */
    const followed = async (port: number) => {
      const before = await arrived(port);
      await send([udpFrame({ from: stranger.mac, to: bridgeMac }, stranger.ip, worldAddress, port)]);
      await expect.poll(() => arrived(port)).toBe(before + 1);
    };

    beforeAll(async () => {
      await sender.install(stranger.client, stranger.name);
      const taps = [one, two, aside].map(({ tap }) => `"${tap}"`).join(', ');
      await internet.host.run(
        'nft',
        ['-f', '-'],
        `table bridge heard {
          set frames { type ether_addr . ether_addr . ether_type; size 65536; flags dynamic; counter; }
          chain sent { type filter hook postrouting priority 300; policy accept;
            oifname != { ${taps} } accept
            tcp sport ${web} accept
            tcp dport ${web} accept
            udp sport 53 accept
            ether saddr ${bridgeMac} arp operation reply arp saddr ether ${bridgeMac} accept
            ether saddr ${bridgeMac} icmpv6 type nd-neighbor-advert accept
            update @frames { ether saddr . ether daddr . ether type counter }
          }
        }`,
      );
    });

    test('get frames out that carry their own addresses, and are counted where they arrive', async () => {
      // A guest of the others' group is heard.
      await shell(one, `echo x | nc -w 1 ${two.ip} 7777`);
      expect(await received()).not.toEqual([]);
      const ends = { from: stranger.mac, to: bridgeMac };
      await send([
        udpFrame(ends, stranger.ip, worldAddress, 7000),
        udpFrame(ends, stranger.ip6, worldAddress6, 7001),
      ]);
      await expect.poll(async () => [await arrived(7000), await arrived(7001)]).toEqual([1, 1]);
    });

    test.each<readonly [string, () => readonly Buffer[]]>([
      ['of another’s IP address', () => forged({}, two.ip)],
      ['of another’s MAC address', () => forged({ from: two.mac }, stranger.ip)],
      ['of another’s addresses, both', () => forged({ from: two.mac }, two.ip)],
      ['of the bridge’s MAC address', () => forged({ from: bridgeMac }, gateway)],
      ['of an address of the world', () => forged({}, '192.0.2.9')],
      ['of another’s IPv6 address', () => forged6({}, two.ip6)],
      ['of another’s IPv6 and MAC address', () => forged6({ from: two.mac }, two.ip6)],
      ['of a link-local address', () => forged6({}, 'fe80::66')],
      [
        'with VLAN tags',
        () => [[5], [0], [1], [7, 5]].flatMap((vlans) => tagAll(forged({}, stranger.ip), vlans)),
      ],
      [
        'with VLAN tags, in IPv6',
        () => [[5], [0]].flatMap((vlans) => tagAll(forged6({}, stranger.ip6), vlans)),
      ],
      ['straight to another’s MAC address', () => straight()],
    ])('get nothing through %s', async (_what, make) => {
      const counts = async () => [await received(), await arrived(7002)];
      const before = await counts();
      await send(make());
      await followed(7000);
      expect(await counts()).toEqual(before);
    });

    test('make nobody believe that they are another, or the gateway', async () => {
      const [heard, neighbours] = [await received(), await places()];
      const mine = { address: gateway, mac: stranger.mac };
      const theirs = { address: two.ip, mac: two.mac };
      await send([
        ...[two.mac, broadcast].map((to) => arpFrame({ from: stranger.mac, to }, mine, theirs)),
        ...[bridgeMac, broadcast].flatMap((to) =>
          [false, true].map((isRequest) =>
            arpFrame(
              { from: stranger.mac, to },
              { address: two.ip, mac: stranger.mac },
              { address: gateway, mac: bridgeMac },
              isRequest,
            ),
          ),
        ),
        ...discovery(),
      ]);
      await followed(7000);
      expect(await received()).toEqual(heard);
      expect(await places()).toEqual(neighbours);
      expect(await fetchPage(one, two.ip)).toBe('two\n');
      expect(await fetchPage(one, `[${two.ip6}]`)).toBe('two\n');
    });

    describe('about flows of another', () => {
      const toGateway = () => ({ from: stranger.mac, to: bridgeMac });
      const client = 20_000;
      const errors = async () => (await internet.seen()).get('icmp 0') ?? 0;
      const flow = (...filter: readonly string[]) =>
        internet.host.run('conntrack', ['-L', '-p', 'udp', ...filter]);

      beforeAll(() => sender.install(two.client, two.name));

      test('send no errors to clients of its published ports', async () => {
        await stranger.client.machines.update(stranger.name, { network: { egress: 'deny' } });
        const port = { protocol: 'udp', host_port: 18_500, guest_port: 9000, bind: '0.0.0.0' } as const;
        await two.client.network.publish(two.name, port);
        const start = await errors();
        await internet.world.crowd(hostAddress, 18_500, 1);
        // Nothing listens there: the guest's own kernel says so.
        await expect.poll(errors).toBe(start + 1);
        expect(await flow('--orig-port-dst', '18500')).toContain(`src=${two.ip}`);
        const received = udpFrame({ from: bridgeMac, to: two.mac }, worldAddress, two.ip, 9000, client);
        const error = (from: Guest) =>
          unreachableFrame({ from: from.mac, to: bridgeMac }, from.ip, worldAddress, received);
        const before = await errors();
        // The owner's own arrives behind it.
        await send([error(stranger)]);
        await sender.once(two.client, two.name, [error(two)]);
        await expect.poll(errors).toBe(before + 1);
        await stranger.client.machines.update(stranger.name, { network: { egress: 'allow' } });
        await followed(7000);
        expect(await errors()).toBe(before + 1);
      });

      test('do not have them judged by their own policy', async () => {
        const ends = { from: two.mac, to: bridgeMac };
        await sender.once(two.client, two.name, [udpFrame(ends, two.ip, worldAddress, 7004)]);
        const mark = async () => /mark=(\d+)/.exec(await flow('--orig-port-dst', '7004'))?.[1];
        await expect.poll(mark).toBeDefined();
        const before = await mark();
        const answer = udpFrame(ends, worldAddress, two.ip, sourcePort, 7004);
        await send([unreachableFrame(toGateway(), stranger.ip, worldAddress, answer)]);
        await followed(7000);
        expect(await mark()).toBe(before);
      });
    });

    test('get nothing through when they take another’s addresses with their own tools', async () => {
      const [before, seen] = [await received(), await internet.seen()];
      const attempt = `echo x | nc -w 2 ${worldAddress} 7777; echo x | nc -w 2 ${one.ip} 7777`;
      await shell(
        stranger,
        `ip address add ${two.ip}/32 dev eth0; ip address delete ${stranger.ip}/32 dev eth0
         ip route replace ${gateway} dev eth0; ip route replace default via ${gateway} dev eth0
         ip neighbour replace ${gateway} lladdr ${bridgeMac} dev eth0 nud permanent
         ${attempt}
         ip link set eth0 address ${two.mac}
         ip neighbour replace ${gateway} lladdr ${bridgeMac} dev eth0 nud permanent
         ${attempt}`,
      );
      expect(await internet.seen()).toEqual(seen);
      expect(await received()).toEqual(before);
      expect(await fetchPage(one, two.ip)).toBe('two\n');
    });

    const forged = (ends: { from?: string }, source: string) =>
      [worldAddress, two.ip].map((to) =>
        udpFrame({ from: stranger.mac, to: bridgeMac, ...ends }, source, to, 7002),
      );
    const forged6 = (ends: { from?: string }, source: string) =>
      [worldAddress6, two.ip6].map((to) =>
        udpFrame({ from: stranger.mac, to: bridgeMac, ...ends }, source, to, 7002),
      );
    const tagAll = (frames: readonly Buffer[], vlans: readonly number[]) =>
      frames.map((frame) => tagged(frame, vlans));
    const straight = () =>
      [two.mac, broadcast].flatMap((to) => [
        udpFrame({ from: stranger.mac, to }, stranger.ip, two.ip, 7002),
        udpFrame({ from: stranger.mac, to }, stranger.ip6, two.ip6, 7002),
        udpFrame({ from: stranger.mac, to }, stranger.ip, worldAddress, 7002),
      ]);
    /** Claims about neighbours and routers, to everybody that they could be told. */
    const discovery = () => {
      const { solicitation, advertisement } = neighbourDiscovery;
      const all = [bridgeMac, two.mac, '33:33:00:00:00:01'];
      return all.flatMap((to) => {
        const ends = { from: stranger.mac, to };
        return [
          neighbourFrame(ends, advertisement, two.ip6, gateway6, two.ip6),
          neighbourFrame(ends, advertisement, 'fe80::66', 'ff02::1', two.ip6),
          neighbourFrame(ends, advertisement, gateway6, two.ip6, gateway6),
          neighbourFrame(ends, solicitation, two.ip6, gateway6, gateway6),
          routerFrame(ends, 'fe80::66', '2001:db8:66::'),
          routerFrame(ends, stranger.ip6, '2001:db8:66::'),
        ];
      });
    };
  });
});
