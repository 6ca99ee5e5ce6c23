/** What packets of guests may do under each egress policy; counted where they arrive. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EgressPolicy } from '../core/ports/network.ts';
import { type Namespace, silenceMs, whyNoNamespaces } from './lab/namespaces.ts';
import { gateway, hostAddress, patience, Scene, worldAddress } from './lab/scene.ts';

const reason = await whyNoNamespaces();
if (reason !== null) console.warn(`skipped: ${reason}`);

describe.skipIf(reason !== null)('egress policies', () => {
  let scene: Scene;

  beforeAll(async () => {
    scene = await Scene.make();
    for (const port of [80, 81, 82, 83, 84, 443, 8080]) await scene.world.serve('tcp', port);
    for (const port of [53, 80, 90]) await scene.world.serve('udp', port);
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  it('lets everything of the world through under `allow`, in the name of the host', async () => {
    const { space } = await scene.guest();
    expect(await space.ask('tcp', worldAddress, 80)).toBe(`${hostAddress} hello`);
    expect(await space.ask('udp', worldAddress, 90)).toBe(`${hostAddress} hello`);
  });

  it('lets no packet out under `deny`, and answers the guest at once', async () => {
    const { space } = await scene.guest({ egress: { kind: 'deny' } });
    const before = await scene.internet.seen();
    expect(await space.ask('tcp', worldAddress, 81)).toBeNull();
    expect(await space.ask('udp', worldAddress, 80)).toBeNull();
    const after = await scene.internet.seen();
    expect(after.get('tcp 81')).toBe(before.get('tcp 81'));
    expect(after.get('udp 80')).toBe(before.get('udp 80'));
  });

  it('lets no packet out of a guest that sends before it is attached, not even in the name of another', async () => {
    const { attachment: other } = await scene.guest();
    const { space, attachment } = await scene.unattached({ egress: { kind: 'deny' } });
    const [bridge] = JSON.parse(await scene.host.run('ip', ['-j', 'link', 'show', 'flotilla0']));
    await space.ip(
      `neighbour replace ${gateway} lladdr ${bridge.address} dev eth0 nud permanent`,
      `address add ${other.ipv4}/32 dev eth0`,
    );
    await space.flood(attachment.ipv4, worldAddress, 9300);
    await space.flood(other.ipv4, worldAddress, 9301);
    await scene.network.attach(attachment, patience());
    const sent = async () => (await scene.network.measure(attachment.machineId, patience()))?.sentPackets;
    const seen = async (port: number) => (await scene.internet.seen()).get(`udp ${port}`);
    await expect.poll(sent).toBeGreaterThan(100);
    expect([await seen(9300), await seen(9301)]).toEqual([undefined, undefined]);
    await scene.network.update({ ...attachment, egress: { kind: 'allow' } }, patience());
    await expect.poll(() => seen(9300)).toBeGreaterThan(0);
    expect(await seen(9301)).toBeUndefined();
  });

  it('answers connections to published ports under `deny`', async () => {
    const { space } = await scene.guest({
      egress: { kind: 'deny' },
      ports: [
        { protocol: 'tcp', bind: '0.0.0.0', hostPort: 18_080, guestPort: 80 },
        { protocol: 'udp', bind: '0.0.0.0', hostPort: 18_080, guestPort: 90 },
        { protocol: 'tcp', bind: '127.0.0.1', hostPort: 18_081, guestPort: 80 },
      ],
    });
    await space.serve('tcp', 80);
    await space.serve('udp', 90);
    expect(await scene.world.ask('tcp', hostAddress, 18_080)).toBe(`${worldAddress} hello`);
    expect(await scene.world.ask('udp', hostAddress, 18_080)).toBe(`${worldAddress} hello`);
    expect(await scene.host.ask('tcp', hostAddress, 18_080)).toBe(`${hostAddress} hello`);
    expect(await scene.host.ask('tcp', '127.0.0.1', 18_080)).toBe(`${gateway} hello`);
    expect(await scene.host.ask('tcp', '127.0.0.1', 18_081)).toBe(`${gateway} hello`);
    expect(await scene.world.ask('tcp', hostAddress, 18_081, { timeoutMs: silenceMs })).toBeNull();
  });

  it('ends connections through a port that is withdrawn, and no others to the same port of the guest', async () => {
    const port = (protocol: 'tcp' | 'udp', hostPort: number) =>
      ({ protocol, bind: '0.0.0.0', hostPort, guestPort: 80 }) as const;
    const kept = [port('tcp', 18_082), port('udp', 18_083)];
    const { space, attachment } = await scene.guest({
      egress: { kind: 'deny' },
      ports: [...kept, port('tcp', 18_083), port('udp', 18_082)],
    });
    await space.serve('tcp', 80);
    const [stays, ends] = [
      await scene.world.open(hostAddress, 18_082),
      await scene.world.open(hostAddress, 18_083),
    ];
    for (const each of [stays, ends])
      expect(await scene.world.say(each, 'before')).toBe(`${worldAddress} before`);
    await scene.network.update({ ...attachment, ports: kept }, patience());
    expect(await scene.world.say(ends, 'after', silenceMs)).toBeNull();
    expect(await scene.world.say(stays, 'after')).toBe(`${worldAddress} after`);
    // Both ends know that it is over, and need not wait for each other.
    const open = (place: Namespace, side: 'dport' | 'sport', number: number) =>
      place.run('ss', ['-Htn', 'state', 'established', side, '=', `:${number}`]);
    expect(await open(scene.world, 'dport', 18_083)).toBe('');
    expect((await open(scene.world, 'dport', 18_082)).trim().split('\n')).toHaveLength(1);
    await scene.network.update({ ...attachment, ports: [] }, patience());
    expect(await scene.world.say(stays, 'at last', silenceMs)).toBeNull();
    expect(await scene.network.denied(attachment.machineId, patience())).toEqual([]);
  });

  it('lets through what an allowlist names, and nothing else', async () => {
    const { space } = await scene.guest({
      egress: {
        kind: 'allowlist',
        rules: [
          { to: '198.51.100.0/24', protocol: 'tcp', ports: [{ first: 80, last: 81 }] },
          { to: worldAddress, protocol: 'tcp', ports: [{ first: 81, last: 82 }] },
          { to: worldAddress, protocol: 'udp', ports: null },
        ],
      },
    });
    for (const port of [80, 81, 82])
      expect(await space.ask('tcp', worldAddress, port)).toBe(`${hostAddress} hello`);
    expect(await space.ask('tcp', worldAddress, 83)).toBeNull();
    expect(await space.ask('tcp', '203.0.113.7', 80)).toBeNull();
    expect(await space.ask('udp', worldAddress, 90)).toBe(`${hostAddress} hello`);
    // Names are asked of the host's resolver alone.
    expect(await space.ask('udp', worldAddress, 53)).toBeNull();
  });

  it('ends flows that a new policy refuses, and leaves the others alone', async () => {
    const { space, attachment } = await scene.guest();
    const kept = await space.open(worldAddress, 443);
    const ended = await space.open(worldAddress, 8080);
    expect(await space.say(kept, 'one')).toBe(`${hostAddress} one`);
    expect(await space.say(ended, 'one')).toBe(`${hostAddress} one`);
    const rule = { to: worldAddress, protocol: 'tcp', ports: [{ first: 443, last: 443 }] } as const;
    await scene.network.update({ ...attachment, egress: { kind: 'allowlist', rules: [rule] } }, patience());
    expect(await space.say(kept, 'two')).toBe(`${hostAddress} two`);
    expect(await space.say(ended, 'two', silenceMs)).toBeNull();
    await scene.network.update({ ...attachment, egress: { kind: 'deny' } }, patience());
    expect(await space.say(kept, 'three', silenceMs)).toBeNull();
  });
});

describe.skipIf(reason !== null)('egress policies of IPv6', () => {
  let scene: Scene;
  const world = '2001:db8:1::2';

  beforeAll(async () => {
    scene = await Scene.make({ ipv6: 'fd77::/64' });
    for (const port of [80, 81]) await scene.world.serve('tcp', port, world);
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  it('are those of IPv4: under `deny`, an allowlist and changes', async () => {
    const { space, attachment } = await scene.guest({ ipv6: 'fd77::5', egress: { kind: 'deny' } });
    expect(await space.ask('tcp', world, 80)).toBeNull();
    expect([...(await scene.internet.seen()).keys()]).toEqual([]);
    const rule = { to: '2001:db8:1::/64', protocol: 'tcp', ports: [{ first: 81, last: 81 }] } as const;
    const change = (egress: EgressPolicy) => scene.network.update({ ...attachment, egress }, patience());
    await change({ kind: 'allowlist', rules: [rule] });
    expect(await space.ask('tcp', world, 81)).toBe('2001:db8:1::1 hello');
    expect(await space.ask('tcp', world, 80)).toBeNull();
    const kept = await space.open(world, 81);
    await change({ kind: 'deny' });
    expect(await space.say(kept, 'more', silenceMs)).toBeNull();
    const denied = await scene.network.denied(attachment.machineId, patience());
    expect(denied).toContainEqual(expect.objectContaining({ protocol: 'tcp', address: world, port: 80 }));
  });
});
