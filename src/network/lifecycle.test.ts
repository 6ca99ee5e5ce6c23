/** Attachments over time: real taps, repetition, damage, other daemons, what is left behind, counters and limits. */
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { silentLog } from '../lib/log.ts';
import { chooseNetwork } from './choose.ts';
import { examineNetwork } from './doctor.ts';
import { silenceMs, whyNoNamespaces } from './lab/namespaces.ts';
import {
  gateway,
  hostAddress,
  makeAttachment,
  makeNetwork,
  patience,
  Scene,
  worldAddress,
} from './lab/scene.ts';
import { readNetworkSettings } from './settings.ts';

const reason = await whyNoNamespaces();
if (reason !== null) console.warn(`skipped: ${reason}`);

const quick = { timeoutMs: silenceMs };
const published = (hostPort: number) =>
  [{ protocol: 'tcp', bind: '0.0.0.0', hostPort, guestPort: 80 }] as const;

describe.skipIf(reason !== null)('attachments', () => {
  let scene: Scene;

  beforeAll(async () => {
    scene = await Scene.make();
    for (const port of [80, 81]) await scene.world.serve('tcp', port);
    await scene.world.serve('udp', 90);
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  const rules = () => scene.host.run('nft', ['-s', 'list', 'ruleset']);
  const links = async () => JSON.parse(await scene.host.run('ip', ['-j', '-d', 'link', 'show'])) as Shown[];
  interface Shown {
    readonly ifname: string;
    readonly linkinfo?: { readonly info_kind?: string; readonly info_data?: { readonly user?: number } };
  }

  it('are all that is removed: interfaces of others may have names like those of machines', async () => {
    const others = ['ft0', 'fs0', 'fx0', 'fl0'];
    for (const name of others) await scene.host.ip(`link add ${name} type bridge`);
    await makeNetwork(scene.host.path).restore([], patience());
    expect((await links()).map(({ ifname }) => ifname)).toEqual(expect.arrayContaining(others));
    for (const name of others) await scene.host.ip(`link delete ${name}`);
  });

  it('makes a tap of the VMM’s user, again when the user changes, and removes all of it', async () => {
    const before = [await rules(), (await links()).map(({ ifname }) => ifname)];
    const attachment = scene.attachment({ slot: 7, ports: published(20_000), group: 'g' });
    const nic = await scene.network.attach(attachment, patience());
    expect(nic).toEqual({
      kind: 'tap',
      tap: `ft${attachment.machineId}`,
      netns: scene.host.path,
      mac: attachment.mac,
    });
    const owner = async () =>
      (await links()).find(({ ifname }) => ifname === `ft${attachment.machineId}`)?.linkinfo?.info_data?.user;
    expect(await owner()).toBe(600_007);
    await scene.network.attach({ ...attachment, slot: 8 }, patience());
    expect(await owner()).toBe(600_008);
    expect(await scene.network.list(patience())).toContain(attachment.machineId);
    for (let time = 0; time < 2; time += 1) await scene.network.detach(attachment.machineId, patience());
    expect([await rules(), (await links()).map(({ ifname }) => ifname)]).toEqual(before);
    expect(await scene.network.list(patience())).not.toContain(attachment.machineId);
    expect(await scene.host.run('ip', ['neighbour', 'show', 'dev', 'flotilla0'])).not.toContain(
      `${attachment.ipv4} `,
    );
  });

  it('finishes what was interrupted after any of its programs', async () => {
    const attachment = scene.attachment({
      ports: published(20_001),
      bandwidth: { egress: 8_000_000, ingress: 8_000_000 },
    });
    await scene.network.attach(attachment, patience());
    const [whole, taps] = [await rules(), (await links()).length];
    await scene.network.detach(attachment.machineId, patience());
    // Each attempt is cancelled later than the one before, until one is not: in ever longer steps, for a busy host.
    for (let delayMs = 0; ; delayMs += Math.max(4, delayMs / 5)) {
      const done = await scene.network.attach(attachment, AbortSignal.timeout(Math.ceil(delayMs))).then(
        () => true,
        () => false,
      );
      if (done) break;
    }
    await scene.network.attach(attachment, patience());
    expect(await rules()).toBe(whole);
    expect((await links()).length).toBe(taps);
    await scene.network.detach(attachment.machineId, patience());
  });

  it('finds and finishes a detachment that was interrupted after any of its programs', async () => {
    const list = async () => [...(await scene.network.list(patience()))].sort();
    const neighbours = () => scene.host.run('ip', ['neighbour', 'show', 'dev', 'flotilla0']);
    const flows = () => scene.host.run('conntrack', ['-L', '-f', 'ipv4']);
    const state = async () => [await rules(), (await links()).map(({ ifname }) => ifname), await list()];
    const makeFlow = (ipv4: string) => {
      const ends = ['-s', worldAddress, '-d', ipv4, '--sport', '5', '--dport', '6', '-t', '600'];
      return scene.host.run('conntrack', ['-I', '-p', 'udp', ...ends]);
    };
    const before = await state();
    for (const successor of ['this daemon', 'the next one']) {
      let isDone = false;
      // In ever longer steps: a busy host takes seconds.
      for (let delayMs = 0; !isDone; delayMs += Math.max(12, delayMs / 5)) {
        const attachment = scene.attachment({ ports: published(20_005) });
        const { machineId, ipv4 } = attachment;
        await scene.network.attach(attachment, patience());
        await makeFlow(ipv4);
        isDone = await scene.network.detach(machineId, AbortSignal.timeout(Math.ceil(delayMs))).then(
          () => true,
          () => false,
        );
        if (!isDone) expect(await list()).toContain(machineId);
        if (successor === 'this daemon') await scene.network.detach(machineId, patience());
        else {
          await makeNetwork(scene.host.path).restore([], patience());
          // The daemon of the other tests learns of it.
          await scene.network.restore([], patience());
        }
        expect(await flows()).not.toContain(ipv4);
        expect(await neighbours()).not.toContain(`${ipv4} `);
        expect(await state()).toEqual(before);
      }
    }
  });

  it('finds and removes what the rules know of a machine that nobody remembers, and leaves others alone', async () => {
    const { space, attachment } = await scene.guest({ ports: published(20_006) });
    await space.serve('tcp', 80);
    const before = [await rules(), [...(await scene.network.list(patience()))].sort()];
    const ghost = makeAttachment(900, { machineId: 'ghost0000001' });
    const tap = `"ft${ghost.machineId}"`;
    await scene.host.run(
      'nft',
      ['-f', '-'],
      `add element bridge flotilla0 taps { ${tap} }
       add element bridge flotilla0 bound4 { ${tap} . ${ghost.mac} . ${ghost.ipv4} }
       add element inet flotilla0 allow4 { ${ghost.ipv4} }`,
    );
    expect(await scene.network.list(patience())).toContain(ghost.machineId);
    await scene.network.detach(ghost.machineId, patience());
    expect([await rules(), [...(await scene.network.list(patience()))].sort()]).toEqual(before);
    expect(await scene.world.ask('tcp', hostAddress, 20_006)).toBe(`${worldAddress} hello`);
    await scene.network.detach(attachment.machineId, patience());
  });

  it('puts the rules of all machines in force with the first change, when it could not restore them', async () => {
    const [one, other] = [await scene.guest(), await scene.guest()];
    const next = makeNetwork(scene.host.path);
    const denied = { ...one.attachment, egress: { kind: 'deny' } as const };
    await scene.host.ip('link set dev flotilla0 alias flotilla:/srv/other');
    await expect(next.restore([denied, other.attachment], patience())).rejects.toMatchObject({
      code: 'conflict',
    });
    await scene.host.ip('link set dev flotilla0 alias flotilla:/var/lib/flotilla');
    await next.update(denied, patience());
    expect(await one.space.ask('tcp', worldAddress, 80)).toBeNull();
    expect(await other.space.ask('tcp', worldAddress, 80)).toBe(`${hostAddress} hello`);
    await scene.network.restore([], patience());
  });

  it('puts rules, taps and neighbours right that somebody has damaged, and removes what is not ours to keep', async () => {
    const kept = await scene.guest({ egress: { kind: 'deny' }, ports: published(20_002) });
    await kept.space.serve('tcp', 80);
    const gone = await scene.guest({ ports: published(20_003) });
    const stray = scene.attachment();
    await scene.network.attach(stray, patience());
    await scene.host.run('nft', ['flush', 'table', 'inet', 'flotilla0']);
    await scene.host.run('nft', ['flush', 'table', 'bridge', 'flotilla0']);
    await scene.host.run('nft', [
      'add',
      'element',
      'inet',
      'flotilla0',
      'allow4',
      `{ ${kept.attachment.ipv4} }`,
    ]);
    await scene.host.ip(
      `link set ft${kept.attachment.machineId} type bridge_slave isolated off`,
      `neighbour del ${kept.attachment.ipv4} dev flotilla0`,
      'tuntap add dev ftorphan00000 mode tap',
    );
    expect(await scene.network.list(patience())).toContain('orphan00000');
    await scene.network.restore([kept.attachment], patience());
    expect(await scene.network.list(patience())).toEqual([kept.attachment.machineId]);
    expect(await kept.space.ask('tcp', worldAddress, 80)).toBeNull();
    expect(await scene.world.ask('tcp', hostAddress, 20_002)).toBe(`${worldAddress} hello`);
    expect(await scene.world.ask('tcp', hostAddress, 20_003, quick)).toBeNull();
    expect(await rules()).not.toContain(gone.attachment.ipv4);
    expect(await scene.host.run('ip', ['neighbour', 'show', 'dev', 'flotilla0'])).toMatch(
      new RegExp(`^${kept.attachment.ipv4} .* PERMANENT \\n$`),
    );
    // Also when the tables are gone, or are another version's.
    await scene.host.run('nft', ['flush', 'ruleset']);
    await scene.host.run('nft', ['add', 'table', 'inet', 'flotilla0']);
    await scene.host.run('nft', ['add', 'set', 'inet', 'flotilla0', 'allow4', '{ type mark; }']);
    await scene.network.update({ ...kept.attachment, egress: { kind: 'allow' } }, patience());
    expect(await kept.space.ask('tcp', worldAddress, 80)).toBe(`${hostAddress} hello`);
  });

  it('keeps the rules in force while daemons are replaced, and changes them after', async () => {
    const guest = await scene.guest();
    const flow = await guest.space.open(worldAddress, 81);
    await scene.network.close();
    expect(await guest.space.say(flow, 'without')).toBe(`${hostAddress} without`);
    const next = makeNetwork(scene.host.path);
    onTestFinished(() => next.close());
    await next.open(patience());
    await next.restore([guest.attachment], patience());
    expect(await guest.space.say(flow, 'after')).toBe(`${hostAddress} after`);
    await next.update({ ...guest.attachment, egress: { kind: 'deny' } }, patience());
    expect(await guest.space.say(flow, 'denied', silenceMs)).toBeNull();
  });

  it('refuses a bridge of another daemon, and chooses the user network then', async () => {
    const settings = {
      kind: 'auto',
      bridge: 'flotilla0',
      netns: scene.host.path,
      ipv4: { family: 4, first: 0x0a4d0000n, last: 0x0a4dffffn, prefix: 16 },
      ipv6: null,
      dns: null,
      lanBridges: [],
    } as const;
    const host = { owner: '/srv/other', uidBase: 600_000, log: silentLog };
    const chosen = await chooseNetwork(settings, host, patience());
    expect(chosen.facts).toMatchObject({
      kind: 'user',
      reason: expect.stringMatching(
        /flotilla0 belongs to the daemon of \/var\/lib\/flotilla.*FLOTILLA_NETWORK_BRIDGE/,
      ),
    });
    await expect(chooseNetwork({ ...settings, kind: 'bridge' }, host, patience())).rejects.toMatchObject({
      code: 'conflict',
    });
    await expect(
      chooseNetwork({ ...settings, netns: '/run/netns/nowhere' }, host, patience()),
    ).rejects.toMatchObject({ code: 'invalid' });
    const without = await chooseNetwork(settings, { ...host, uidBase: null }, patience());
    expect(without.facts.reason).toMatch(/only root can/);
  });

  it('gives the next owner of an address none of the flows and refusals of the last', async () => {
    const first = await scene.guest({
      ports: [{ protocol: 'udp', bind: '0.0.0.0', hostPort: 20_004, guestPort: 90 }],
    });
    await first.space.serve('udp', 90);
    expect(await scene.world.ask('udp', hostAddress, 20_004)).toBe(`${worldAddress} hello`);
    expect(await first.space.ask('udp', worldAddress, 90)).toBe(`${hostAddress} hello`);
    await first.space.ask('tcp', gateway, 3000, quick);
    const flows = async () => scene.host.run('conntrack', ['-L', '-f', 'ipv4']);
    expect(await flows()).toContain(first.attachment.ipv4);
    expect(await scene.network.denied(first.attachment.machineId, patience())).toHaveLength(1);
    await scene.network.detach(first.attachment.machineId, patience());
    expect(await flows()).not.toContain(first.attachment.ipv4);
    const second = scene.attachment({ ipv4: first.attachment.ipv4 });
    await scene.network.attach(second, patience());
    expect(await scene.network.denied(second.machineId, patience())).toEqual([]);
    await scene.network.detach(second.machineId, patience());
  });

  it('remembers what was refused, and one guest’s scan leaves room for the others’', async () => {
    const scanner = await scene.guest({ egress: { kind: 'deny' } });
    const other = await scene.guest({ egress: { kind: 'deny' } });
    await scanner.space.scan(
      worldAddress,
      Array.from({ length: 1000 }, (_, at) => 10_000 + at),
    );
    for (let time = 0; time < 2; time += 1) await other.space.ask('tcp', worldAddress, 81, quick);
    const scanned = await scene.network.denied(scanner.attachment.machineId, patience());
    expect(scanned.length).toBeGreaterThan(50);
    expect(scanned.length).toBeLessThan(120);
    const [denied, ...more] = await scene.network.denied(other.attachment.machineId, patience());
    expect(more).toEqual([]);
    expect(denied).toMatchObject({
      protocol: 'tcp',
      address: worldAddress,
      port: 81,
      domain: null,
      packets: 2,
      lastAt: expect.stringMatching(/^\d{4}-.*Z$/),
    });
  });

  it('counts from the guest’s point of view, across daemons', async () => {
    const { space, attachment } = await scene.guest();
    await space.ask('udp', worldAddress, 90);
    const usage = await makeNetwork(scene.host.path).measure(attachment.machineId, patience());
    expect(usage?.sentPackets).toBeGreaterThanOrEqual(1);
    expect(usage?.receivedBytes).toBeGreaterThan(0);
    expect(await scene.network.measure('nobody', patience())).toBeNull();
  });

  it('limits what a guest sends and receives, changes it and lifts it', async () => {
    const { space, attachment } = await scene.guest();
    const limited = { ...attachment, bandwidth: { egress: 4_000_000, ingress: 2_000_000 } };
    for (let time = 0; time < 2; time += 1) await scene.network.update(limited, patience());
    const queues = () => scene.host.run('tc', ['qdisc', 'show']);
    expect(await queues()).toMatch(new RegExp(`tbf .* dev ft${attachment.machineId} .*rate 2Mbit`));
    expect(await queues()).toMatch(new RegExp(`tbf .* dev fs${attachment.machineId} .*rate 4Mbit`));
    expect(await space.ask('tcp', worldAddress, 80)).toBe(`${hostAddress} hello`);
    const shaped = JSON.parse(
      await scene.host.run('tc', ['-s', '-j', 'qdisc', 'show', 'dev', `fs${attachment.machineId}`]),
    ) as { readonly packets: number }[];
    expect(shaped[0]?.packets).toBeGreaterThan(0);
    await scene.network.update({ ...limited, bandwidth: { egress: 8_000_000, ingress: null } }, patience());
    expect(await queues()).toMatch(new RegExp(`tbf .* dev fs${attachment.machineId} .*rate 8Mbit`));
    expect(await queues()).not.toMatch(new RegExp(`tbf .* dev ft${attachment.machineId} `));
    await scene.network.update(attachment, patience());
    expect(await queues()).not.toContain('tbf');
    expect(await space.ask('tcp', worldAddress, 80)).toBe(`${hostAddress} hello`);
  });

  it('tells doctor what keeps guests from the world, and what is left behind', async () => {
    const { attachment } = await scene.guest();
    const settings = readNetworkSettings({
      kind: 'auto',
      bridge: 'flotilla0',
      netns: scene.host.path,
      cidr: '10.77.0.0/16',
      ipv6: undefined,
      dns: undefined,
      lanBridges: undefined,
    });
    const question = { settings, owner: '/var/lib/flotilla', isRoot: true };
    const known = new Set(await scene.network.list(patience()));
    expect(await examineNetwork({ ...question, machineIds: known }, patience())).toMatchObject([
      { level: 'fine', message: `machines get a tap on flotilla0 in ${scene.host.path}` },
    ]);
    known.delete(attachment.machineId);
    await scene.host.run(
      'nft',
      ['-f', '-'],
      `table ip filter {
        chain FORWARD {
          type filter hook forward priority 0; policy drop;
        }
      }`,
    );
    expect(await examineNetwork({ ...question, machineIds: known }, patience())).toMatchObject([
      {
        level: 'problem',
        message: expect.stringContaining('ip filter FORWARD drops'),
        hint: expect.stringContaining(
          'nft insert rule ip filter FORWARD iifname flotilla0 accept; nft insert',
        ),
      },
      { level: 'problem', message: expect.stringContaining(attachment.machineId) },
    ]);
    await scene.host.run('nft', ['delete', 'table', 'ip', 'filter']);
    expect(await examineNetwork({ ...question, isRoot: false, machineIds: known }, patience())).toMatchObject(
      [
        {
          level: 'missing',
          message: expect.stringContaining('the daemon carries connections to their published TCP ports'),
          hint: 'run ./flotilla as root',
        },
      ],
    );
  });

  it('refuses ports that cannot be published', async () => {
    const ports = [{ protocol: 'tcp', bind: '::1', hostPort: 1, guestPort: 1 }] as const;
    expect(() => scene.network.attach(makeAttachment(400, { ports }), patience())).toThrow(
      /published on '::1'/,
    );
  });
});

describe.skipIf(reason !== null)('500 machines', () => {
  it('restores and changes them', { timeout: 300_000 }, async () => {
    await using scene = await Scene.make();
    const rule = (port: number) =>
      ({ to: '203.0.113.0/24', protocol: 'tcp', ports: [{ first: port, last: port }] }) as const;
    const all = Array.from({ length: 500 }, (_, at) =>
      scene.attachment({
        group: `g${at % 50}`,
        egress: {
          kind: 'allowlist',
          rules: [rule(at + 1), { to: worldAddress, protocol: 'any', ports: null }],
        },
        ports: published(21_000 + at),
      }),
    );
    await scene.network.restore(all, AbortSignal.timeout(240_000));
    expect((await scene.network.list(patience())).length).toBe(500);
    const { address, taps } = {
      address: all[499]?.ipv4 ?? '',
      taps: await scene.host.run('nft', ['list', 'set', 'bridge', 'flotilla0', 'taps']),
    };
    expect(taps.match(/ftm\d+/g)?.length).toBe(500);
    const first = all[0];
    if (!first) throw new Error('no machine');
    await scene.network.update({ ...first, egress: { kind: 'deny' } }, patience());
    const allowed = await scene.host.run('nft', ['list', 'set', 'inet', 'flotilla0', 'allowed4']);
    expect(allowed).not.toContain(`${first.ipv4} .`);
    expect(allowed).toContain(`${address} .`);
  });
});
