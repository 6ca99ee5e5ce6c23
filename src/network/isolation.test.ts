/** What guests may not do to one another, to the host, and in other names. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Namespace, silenceMs, whyNoNamespaces } from './lab/namespaces.ts';
import { type Guest, gateway, hostAddress, patience, Scene, worldAddress } from './lab/scene.ts';

const reason = await whyNoNamespaces();
if (reason !== null) console.warn(`skipped: ${reason}`);

const quick = { timeoutMs: silenceMs };

describe.skipIf(reason !== null)('isolation of guests', () => {
  let scene: Scene;
  let victim: Guest;

  beforeAll(async () => {
    scene = await Scene.make({ ipv6: 'fd77::/64' });
    await scene.world.serve('tcp', 80);
    await scene.world.serve('udp', 90);
    await scene.world.serve('tcp', 80, '2001:db8:1::2');
    await scene.host.serve('tcp', 3000);
    await scene.host.serve('udp', 3000);
    victim = await scene.guest({ ipv6: 'fd77::5', name: 'victim' });
    await victim.space.serve('tcp', 80);
    await victim.space.serve('udp', 90);
    await victim.space.serve('tcp', 80, 'fd77::5');
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  it('keeps a guest from every address of the host, and from metadata servers', async () => {
    const { space } = await scene.guest({ ipv6: 'fd77::6' });
    await scene.host.ip('address add 169.254.169.254/32 dev uplink');
    await scene.host.serve('tcp', 80, '169.254.169.254');
    for (const address of [gateway, hostAddress, '127.0.0.1', '169.254.169.254']) {
      // Through the gateway also what the guest itself would keep.
      await space.run('ip', [
        'route',
        'replace',
        'table',
        'local',
        address,
        'via',
        gateway,
        'dev',
        'eth0',
        'onlink',
      ]);
      expect(await space.ask('tcp', address, 3000, quick)).toBeNull();
      expect(await space.ask('udp', address, 3000, quick)).toBeNull();
    }
    expect(await space.ask('tcp', '169.254.169.254', 80, quick)).toBeNull();
    for (const address of ['fd77::1', '2001:db8:1::1']) {
      expect(await space.ask('tcp', address, 3000, quick)).toBeNull();
    }
    expect(await scene.host.ask('tcp', '127.0.0.1', 3000)).toBe('127.0.0.1 hello');
  });

  it('keeps guests from one another, except members of a group of one tenant', async () => {
    const one = await scene.guest({ tenant: 'acme', group: 'shop', ipv6: 'fd77::11' });
    const two = await scene.guest({
      tenant: 'acme',
      group: 'shop',
      ipv6: 'fd77::12',
      egress: { kind: 'deny' },
    });
    const other = await scene.guest({ tenant: 'acme', group: 'lab' });
    const foreign = await scene.guest({ tenant: 'globex', group: 'shop' });
    for (const { space } of [one, two, other, foreign]) {
      await space.serve('tcp', 80);
      await space.serve('udp', 90);
    }
    await two.space.serve('tcp', 80, 'fd77::12');
    expect(await one.space.ask('tcp', two.attachment.ipv4, 80)).toBe(`${one.attachment.ipv4} hello`);
    expect(await two.space.ask('udp', one.attachment.ipv4, 90)).toBe(`${two.attachment.ipv4} hello`);
    expect(await one.space.ask('tcp', 'fd77::12', 80)).toBe('fd77::11 hello');
    for (const { attachment } of [other, foreign, victim]) {
      expect(await one.space.ask('tcp', attachment.ipv4, 80, quick)).toBeNull();
      expect(await one.space.ask('udp', attachment.ipv4, 90, quick)).toBeNull();
    }
    expect(await one.space.ask('tcp', 'fd77::5', 80, quick)).toBeNull();
    expect(await foreign.space.ask('tcp', one.attachment.ipv4, 80, quick)).toBeNull();
    // A member that leaves the group is outside at once, also for connections that are open.
    const open = await one.space.open(two.attachment.ipv4, 80);
    expect(await one.space.say(open, 'one')).toBe(`${one.attachment.ipv4} one`);
    await scene.network.update({ ...two.attachment, group: null }, patience());
    expect(await one.space.say(open, 'two', silenceMs)).toBeNull();
  });

  it('gives no way around over ports that another guest publishes', async () => {
    const ports = [{ protocol: 'tcp', bind: '0.0.0.0', hostPort: 19_080, guestPort: 80 }] as const;
    await scene.network.update({ ...victim.attachment, ports }, patience());
    const { space } = await scene.guest();
    expect(await scene.world.ask('tcp', hostAddress, 19_080)).toBe(`${worldAddress} hello`);
    expect(await space.ask('tcp', hostAddress, 19_080, quick)).toBeNull();
    expect(await scene.world.ask('tcp', victim.attachment.ipv4, 80, quick)).toBeNull();
    const open = await scene.world.open(hostAddress, 19_080);
    await scene.network.update({ ...victim.attachment, ports: [] }, patience());
    expect(await scene.world.say(open, 'closed', silenceMs)).toBeNull();
    expect(await scene.world.ask('tcp', hostAddress, 19_080, quick)).toBeNull();
  });

  it('publishes IPv6 and translates it', async () => {
    const ports = [{ protocol: 'tcp', bind: '::', hostPort: 19_081, guestPort: 80 }] as const;
    await scene.network.update({ ...victim.attachment, ports }, patience());
    expect(await scene.world.ask('tcp', '2001:db8:1::1', 19_081)).toBe('2001:db8:1::2 hello');
    expect(await victim.space.ask('tcp', '2001:db8:1::2', 80)).toBe('2001:db8:1::1 hello');
  });

  /** Keeps the gateway's place, so that a packet leaves although the guest's question for it is dropped. */
  async function knowGateway(space: Namespace): Promise<void> {
    expect(await space.ask('tcp', worldAddress, 80)).toBe(`${hostAddress} hello`);
    const shown = await space.run('ip', ['-j', 'neighbour', 'show', gateway]);
    const [found] = JSON.parse(shown) as { readonly lladdr: string }[];
    await space.ip(`neighbour replace ${gateway} lladdr ${found?.lladdr} dev eth0 nud permanent`);
  }

  it('drops what carries another address', async () => {
    const { space } = await scene.guest();
    await knowGateway(space);
    await space.ip(
      `address add ${victim.attachment.ipv4}/32 dev eth0`,
      'address add 192.0.2.9/32 dev eth0',
      'address add fd77::5/128 dev eth0 nodad',
    );
    const before = await scene.internet.seen();
    for (const from of [victim.attachment.ipv4, '192.0.2.9']) {
      expect(await space.ask('tcp', worldAddress, 80, { ...quick, from })).toBeNull();
      expect(await space.ask('udp', worldAddress, 90, { ...quick, from })).toBeNull();
    }
    expect(await space.ask('tcp', '2001:db8:1::2', 80, { ...quick, from: 'fd77::5' })).toBeNull();
    expect(await scene.internet.seen()).toEqual(before);
  });

  it('drops what carries another MAC address', async () => {
    const { space } = await scene.guest();
    await knowGateway(space);
    const [, place] = /lladdr (\S+)/.exec(await space.run('ip', ['neighbour', 'show', gateway])) ?? [];
    await space.ip(
      `link set eth0 address ${victim.attachment.mac}`,
      `neighbour replace ${gateway} lladdr ${place} dev eth0 nud permanent`,
    );
    const before = await scene.internet.seen();
    expect(await space.ask('tcp', worldAddress, 80, quick)).toBeNull();
    expect(await scene.internet.seen()).toEqual(before);
    expect(await victim.space.ask('tcp', worldAddress, 80)).toBe(`${hostAddress} hello`);
  });

  it('answers no ARP for another, and believes nobody who does', async () => {
    const { space, attachment } = await scene.guest();
    const where = async () =>
      (await scene.host.run('ip', ['neighbour', 'show', 'dev', 'flotilla0'])).split('\n').sort();
    const before = await where();
    await scene.host.run('nft', ['add', 'table', 'arp', 'seen']);
    await scene.host.run(
      'nft',
      ['-f', '-'],
      `table arp seen {
        chain in {
          type filter hook input priority 0;
          arp saddr ip ${victim.attachment.ipv4} counter
        }
      }`,
    );
    await space.ip(
      `address delete ${attachment.ipv4}/32 dev eth0`,
      `address add ${victim.attachment.ipv4}/32 dev eth0`,
    );
    await space.ip(`route replace ${gateway} dev eth0`, `route replace default via ${gateway} dev eth0`);
    // It asks for the gateway in the victim's name, and answers the gateway's question for the victim.
    expect(await space.ask('tcp', worldAddress, 80, quick)).toBeNull();
    expect(await scene.host.run('nft', ['list', 'table', 'arp', 'seen'])).toMatch(/counter packets 0 /);
    expect(await where()).toEqual(before);
    expect(await victim.space.ask('tcp', worldAddress, 80)).toBe(`${hostAddress} hello`);
  });
});

describe.skipIf(reason !== null)('isolation from the namespace of the daemon', () => {
  it('holds for addresses that it gets while the daemon runs', async () => {
    const outer: string[] = [];
    await using scene = await Scene.make({ outerAddresses: () => ({ 4: [...outer], 6: [] }) });
    await scene.world.serve('tcp', 80);
    const { space } = await scene.guest();
    expect(await space.ask('tcp', worldAddress, 80)).toBe(`${hostAddress} hello`);
    outer.push(worldAddress);
    await scene.network.list(patience());
    expect(await space.ask('tcp', worldAddress, 80, quick)).toBeNull();
    outer.pop();
    await scene.network.list(patience());
    expect(await space.ask('tcp', worldAddress, 80)).toBe(`${hostAddress} hello`);
  });
});
