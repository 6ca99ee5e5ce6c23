/** What machines on a bridge of the operator may do, in their own name and in others'. */
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { examineNetwork } from '../doctor.ts';
import {
  type LanGuest,
  LanScene,
  lanHostAddress,
  makeLanNetwork,
  startDhcp,
  stationAddress,
  stop,
} from '../lab/lan-scene.ts';
import { type Namespace, silenceMs, whyNoNamespaces } from '../lab/namespaces.ts';
import { lanTapName } from '../names.ts';
import { readNetworkSettings } from '../settings.ts';

const reason = await whyNoNamespaces();
if (reason !== null) console.warn(`skipped: ${reason}`);

const quick = { timeoutMs: silenceMs };
const patience = () => AbortSignal.timeout(60_000);
const addressOf = ({ attachment }: LanGuest) => attachment.fixed?.address ?? '';

describe.skipIf(reason !== null)('machines on a bridge of the operator', () => {
  let scene: LanScene;
  let station: Namespace;

  beforeAll(async () => {
    scene = await LanScene.make();
    station = scene.lan.station;
    await station.serve('tcp', 80);
    await station.serve('udp', 90);
    // Notes who has sent packets, whether they could be answered or not.
    await station.run(
      'nft',
      ['-f', '-'],
      `table inet sources {
        set heard { type ipv4_addr; size 1024; flags dynamic; }
        chain arrived { type filter hook prerouting priority raw; iifname eth0 update @heard { ip saddr }
        }
      }`,
    );
    await scene.host.serve('tcp', 3000);
    await scene.host.serve('udp', 53);
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  /** Addresses that the station has had packets from. */
  const heard = () => station.run('nft', ['list', 'set', 'inet', 'sources', 'heard']);

  /** Makes the station look the address up again. */
  const forget = (address: string) =>
    station.run('ip', ['neighbour', 'flush', 'to', address]).catch(() => undefined);

  /** Without the limits of questions, which outlast a machine's stop so that it does not lift them. */
  const tables = async () => {
    const text = await scene.host.run('nft', ['list', 'table', 'bridge', 'flotilla0_lan']);
    return text.replace(/set asks \{[\s\S]*?\n\t\}/, '');
  };

  it('reach their network, and are reached from it by their own address', async () => {
    const guest = await scene.guest();
    await guest.space.serve('tcp', 8000);
    expect(await guest.space.ask('tcp', stationAddress, 80)).toBe(`${addressOf(guest)} hello`);
    expect(await guest.space.ask('tcp', '203.0.113.9', 80)).toBe(`${addressOf(guest)} hello`);
    expect(await station.ask('tcp', addressOf(guest), 8000)).toBe(`${stationAddress} hello`);
  });

  it('do not change the hardware address and the MTU of the bridge', async () => {
    const show = () => scene.host.run('ip', ['-brief', 'link', 'show', 'dev', 'br0']);
    const before = await show();
    await scene.guest({ mac: '00:00:5e:00:53:01' });
    expect(await show()).toBe(before);
  });

  it('send from their own hardware and IP address only', async () => {
    const guest = await scene.guest();
    const other = await scene.guest();
    const { space } = guest;
    // Another machine's address, also while it does not answer.
    await space.ip(`address add ${addressOf(other)}/24 dev eth0`, 'address add 192.168.7.66/24 dev eth0');
    for (const from of [addressOf(other), '192.168.7.66'])
      expect(await space.ask('udp', stationAddress, 90, { ...quick, from })).toBeNull();
    await forget('192.168.7.66');
    expect(await station.ask('tcp', '192.168.7.66', 8000, quick)).toBeNull();
    expect(await station.run('ip', ['neighbour', 'show', 'to', '192.168.7.66'])).not.toContain('lladdr');
    await space.ip(`address del ${addressOf(other)}/24 dev eth0`);
    expect(await space.ask('udp', stationAddress, 90)).toBe(`${addressOf(guest)} hello`);
    expect(await heard()).toContain(addressOf(guest));
    expect(await heard()).not.toMatch(/192\.168\.7\.66\b/);
    await space.ip('link set eth0 address 06:fa:00:00:77:77');
    expect(await space.ask('udp', stationAddress, 90, quick)).toBeNull();
  });

  it('answer for nobody else, and announce no routers', async () => {
    const { space } = await scene.guest();
    await space.ip('address add fd07::9/64 dev eth0 nodad');
    await space.serve('tcp', 80, 'fd07::9');
    expect(await station.ask('tcp', 'fd07::9', 80, quick)).toBeNull();
  });

  it('reach no other machine here, except members of a group of one tenant', async () => {
    const shop = { tenant: 'acme', group: 'shop' };
    const [one, two] = [await scene.guest(shop), await scene.guest(shop)];
    const namesake = await scene.guest({ tenant: 'evil', group: 'shop' });
    const alone = await scene.guest({ tenant: 'acme' });
    for (const { space } of [one, two, namesake, alone]) await space.serve('tcp', 80);
    expect(await one.space.ask('tcp', addressOf(two), 80)).toBe(`${addressOf(one)} hello`);
    for (const other of [namesake, alone]) {
      expect(await one.space.ask('tcp', addressOf(other), 80, quick)).toBeNull();
      expect(await other.space.ask('tcp', addressOf(one), 80, quick)).toBeNull();
    }
    await scene.network.update({ ...two.attachment, group: null }, patience());
    expect(await one.space.ask('tcp', addressOf(two), 80, quick)).toBeNull();
  });

  it('reach nothing of the host but its DNS and DHCP servers, and no metadata server', async () => {
    const guest = await scene.guest();
    await scene.host.ip('address add 198.51.100.77/32 dev lo');
    await guest.space.ip(`route add 198.51.100.77/32 via ${lanHostAddress}`);
    for (const address of [lanHostAddress, '198.51.100.77']) {
      expect(await guest.space.ask('tcp', address, 3000, quick)).toBeNull();
    }
    expect(await guest.space.ask('udp', lanHostAddress, 53)).toBe(`${addressOf(guest)} hello`);
    expect(await guest.space.ask('tcp', '169.254.169.254', 80, quick)).toBeNull();
    expect(await station.ask('tcp', lanHostAddress, 3000)).toBe(`${stationAddress} hello`);
  });

  it('keep to their policies, which change while connections are open', async () => {
    const guest = await scene.guest({ egress: { kind: 'deny' } });
    const { space, attachment } = guest;
    await space.serve('tcp', 8000);
    await space.serve('udp', 8001);
    const to = (address: string, port: number, protocol: 'tcp' | 'udp' = 'tcp') =>
      space.ask(protocol, address, port, quick);
    expect([await to(stationAddress, 80), await to(stationAddress, 90, 'udp')]).toEqual([null, null]);
    // Answers pass, and connections from outside stay open.
    const incoming = await station.open(addressOf(guest), 8000);
    expect(await station.say(incoming, 'one')).toBe(`${stationAddress} one`);
    expect(await station.ask('udp', addressOf(guest), 8001)).toBe(`${stationAddress} hello`);
    expect(await station.run('ping', ['-c1', '-W5', addressOf(guest)]).catch(() => '')).toBeDefined();
    await scene.network.update({ ...attachment, egress: { kind: 'allow' } }, patience());
    expect(await to(stationAddress, 80)).toBe(`${addressOf(guest)} hello`);
    const outgoing = await space.open(stationAddress, 80);
    expect(await space.say(outgoing, 'two')).toBe(`${addressOf(guest)} two`);
    const allowlist = {
      kind: 'allowlist',
      rules: [{ to: '192.168.7.0/24', protocol: 'udp', ports: [{ first: 90, last: 99 }] }],
    } as const;
    await scene.network.update({ ...attachment, egress: allowlist }, patience());
    expect(await space.say(outgoing, 'three', silenceMs)).toBeNull();
    expect([await to(stationAddress, 80), await to('203.0.113.9', 90, 'udp')]).toEqual([null, null]);
    expect(await to(stationAddress, 90, 'udp')).toBe(`${addressOf(guest)} hello`);
    expect(await station.say(incoming, 'four')).toBe(`${stationAddress} four`);
  });

  it('get what they had from the next daemon, which removes what nobody has', async () => {
    const [kept, gone] = [await scene.guest({ egress: { kind: 'deny' } }), await scene.guest()];
    const next = makeLanNetwork(scene.host.path);
    await scene.host.ip(`link set dev ${lanTapName(kept.attachment.machineId)} nomaster`);
    await next.restore([kept.attachment], patience());
    expect(await next.list(patience())).toEqual([kept.attachment.machineId]);
    await kept.space.serve('tcp', 8000);
    expect(await station.ask('tcp', addressOf(kept), 8000)).toBe(`${stationAddress} hello`);
    expect(await kept.space.ask('tcp', stationAddress, 80, quick)).toBeNull();
    expect(await gone.space.ask('tcp', stationAddress, 80, quick)).toBeNull();
    await next.detach(kept.attachment.machineId, patience());
    expect(await next.list(patience())).toEqual([]);
    expect(await tables()).not.toContain(`"${lanTapName(kept.attachment.machineId)}"`);
    await scene.network.restore([], patience());
  });

  it('are all that a daemon removes: interfaces of others may have names like theirs', async () => {
    const others = ['flotilla0', 'fl0', 'fx0', 'fy0', 'ft0', 'fs0'];
    for (const name of others) await scene.host.ip(`link add ${name} type bridge`);
    await makeLanNetwork(scene.host.path).restore([], patience());
    const names = (await scene.host.run('ip', ['-br', 'link']))
      .split('\n')
      .map((line) => line.split(/\s/)[0]);
    expect(names).toEqual(expect.arrayContaining(others));
    for (const name of others) await scene.host.ip(`link delete ${name}`);
  });

  it('are attached and detached whole, whatever was interrupted, by this daemon or the next one', async () => {
    const attachment = scene.attachment({ bandwidth: { egress: 8_000_000, ingress: 8_000_000 } });
    const { machineId } = attachment;
    /** Whether nothing of the machine is there: no device, no rule, no memory of it. */
    const isGone = async () => {
      const links = await scene.host.run('ip', ['-brief', 'link', 'show']);
      const traces = [links.includes(machineId), (await tables()).includes(machineId)];
      return ![...traces, (await scene.network.list(patience())).includes(machineId)].includes(true);
    };
    /** Each attempt is cancelled later than the one before, until one is not: in ever longer steps, for a busy host. */
    const interrupted = async (
      act: (signal: AbortSignal) => Promise<unknown>,
      after: () => Promise<unknown>,
    ) => {
      for (let delayMs = 0; ; delayMs += Math.max(25, delayMs / 5)) {
        const isDone = await act(AbortSignal.timeout(Math.ceil(delayMs))).then(
          () => true,
          () => false,
        );
        await after();
        if (isDone) return;
      }
    };
    await interrupted(
      (signal) => scene.network.attach(attachment, signal),
      async () => {
        await scene.network.detach(machineId, patience());
        expect(await isGone()).toBe(true);
      },
    );
    await scene.network.attach(attachment, patience());
    for (const successor of [scene.network, makeLanNetwork(scene.host.path)]) {
      await interrupted(
        async (signal) => {
          await scene.network.attach(attachment, patience());
          await scene.network.detach(machineId, signal);
        },
        async () => {
          if (successor === scene.network) await successor.detach(machineId, patience());
          else await successor.restore([], patience());
          await scene.network.detach(machineId, patience());
          expect(await isGone()).toBe(true);
        },
      );
    }
  });

  it('are refused on bridges that the operator has not named, or that are not there', async () => {
    await scene.host.ip('link add br9 type bridge');
    const given = (bridge: string) => scene.network.attach(scene.attachment({ bridge }), patience());
    await expect(given('br9')).rejects.toMatchObject({ code: 'unsupported' });
    await scene.host.ip('link set br0 name br7');
    const attachment = scene.attachment();
    await expect(scene.network.attach(attachment, patience())).rejects.toMatchObject({
      code: 'unavailable',
      message: 'the bridge br0 of this host is not there',
    });
    await scene.host.ip('link set br7 name br0');
    await scene.network.detach(attachment.machineId, patience());
    expect(await scene.network.list(patience())).toEqual([]);
  });

  describe('with addresses by DHCP', () => {
    const serve = (options: readonly string[] = []) => scene.lan.serveDhcp(options);
    /** Asks for an address with a client of Debian's; the script sets the interface up. Null without a lease. */
    const lease = async (space: Namespace, device = 'eth0') => {
      const script = join(scene.lan.directory, 'script');
      await writeFile(
        script,
        '#!/bin/sh\n[ "$1" = bound ] || exit 0\nip address replace $ip/$mask dev $interface\necho got $ip\n',
      );
      await chmod(script, 0o755);
      const client = ['udhcpc', '-i', device, '-n', '-q', '-f', '-t', '2', '-T', '1', '-s', script];
      const said = await space.run('busybox', client).catch(() => '');
      return /got (\S+)/.exec(said)?.[1] ?? null;
    };
    beforeAll(() => serve());
    afterAll(() => scene.lan.stopDhcp());

    it('send from the address that the server has given them, and from no other', async () => {
      const guest = await scene.guest({ fixed: null });
      const { space, attachment } = guest;
      await space.ip('address add 192.168.7.77/24 dev eth0');
      expect(await space.ask('udp', stationAddress, 90, quick)).toBeNull();
      await space.ip('address flush dev eth0');
      const address = await lease(space);
      expect(address).toBe(await scene.lan.leaseOf(attachment.mac));
      expect(await space.ask('udp', stationAddress, 90)).toBe(`${address} hello`);
      await space.ip('address add 192.168.7.77/24 dev eth0');
      expect(await space.ask('udp', stationAddress, 90, { ...quick, from: '192.168.7.77' })).toBeNull();
      await space.serve('tcp', 8000);
      expect(await station.ask('tcp', address ?? '', 8000)).toBe(`${stationAddress} hello`);
      expect(await station.ask('tcp', '192.168.7.77', 8000, quick)).toBeNull();
      expect(await heard()).not.toMatch(/192\.168\.7\.77\b/);
      await scene.network.detach(attachment.machineId, patience());
      expect(await tables()).not.toContain(`"${lanTapName(attachment.machineId)}"`);
    });

    it('have no more than the newest of several addresses', async () => {
      const { space, attachment } = await scene.guest({ fixed: null });
      const first = await lease(space);
      await scene.lan.stopDhcp();
      await scene.lan.forgetLeases();
      await scene.lan.serveDhcp([], { first: '192.168.7.110', last: '192.168.7.119' });
      await space.ip('address flush dev eth0');
      const second = await lease(space);
      expect(second).toMatch(/^192\.168\.7\.11\d$/);
      await space.ip(`address add ${first}/24 dev eth0`);
      // nft tells ages in seconds, and the two addresses are younger than one.
      await expect
        .poll(
          async () => {
            expect(await scene.network.list(patience())).toContain(attachment.machineId);
            return space.ask('udp', stationAddress, 90, { ...quick, from: first ?? '' });
          },
          { timeout: 20_000 },
        )
        .toBeNull();
      expect(await space.ask('udp', stationAddress, 90, { from: second ?? '' })).toBe(`${second} hello`);
      await scene.lan.stopDhcp();
      await serve();
    });

    it('get one whatever their policy is, and prolong it', async () => {
      const { space, attachment } = await scene.guest({ fixed: null, egress: { kind: 'deny' } });
      const address = await lease(space);
      expect(address).not.toBeNull();
      expect(await lease(space)).toBe(address);
      expect(await space.ask('udp', stationAddress, 90, quick)).toBeNull();
      await space.serve('tcp', 8000);
      expect(await station.ask('tcp', address ?? '', 8000)).toBe(`${stationAddress} hello`);
      expect(await scene.lan.leaseOf(attachment.mac)).toBe(address);
    });

    it('keep it while the daemon is replaced', async () => {
      const { space, attachment } = await scene.guest({ fixed: null });
      const address = await lease(space);
      const next = makeLanNetwork(scene.host.path);
      await next.restore([attachment], patience());
      expect(await space.ask('udp', stationAddress, 90)).toBe(`${address} hello`);
      await scene.network.restore([], patience());
    });

    it('give no addresses to others themselves', async () => {
      const { space } = await scene.guest();
      await scene.lan.stopDhcp();
      const rogue = await startDhcp(space, 'eth0', join(scene.lan.directory, 'rogue'), {
        first: '192.168.7.200',
        last: '192.168.7.209',
      });
      try {
        expect(await lease(station)).toBeNull();
        const bystander = await scene.guest({ fixed: null });
        expect(await lease(bystander.space)).toBeNull();
      } finally {
        await stop(rogue);
        await serve();
      }
    });

    it('ask in their own name only, and not without end', async () => {
      const { space } = await scene.guest({ fixed: null });
      const asked = async () =>
        Number(
          /packets (\d+)/.exec(await station.run('nft', ['list', 'counter', 'inet', 'seen', 'asked']))?.[1],
        );
      await station.run(
        'nft',
        ['-f', '-'],
        `table inet seen { counter asked { }
          chain arrived { type filter hook prerouting priority raw; iifname eth0 udp dport 67 counter name asked; }
        }`,
      );
      await space.ip('route add default dev eth0');
      // The messages of this client are no DHCP, so they have nobody's hardware address.
      await space.ask('udp', '255.255.255.255', 67, quick).catch(() => null);
      expect(await asked()).toBe(0);
      for (let round = 0; round < 20; round += 1)
        await space
          .run('busybox', ['udhcpc', '-i', 'eth0', '-n', '-q', '-f', '-t', '4', '-T', '0', '-s', '/bin/true'])
          .catch(() => '');
      expect(await asked()).toBeGreaterThan(5);
      expect(await asked()).toBeLessThan(30);
    });
  });

  it('are among what doctor says', async () => {
    const settings = readNetworkSettings({
      ...{ kind: 'user', bridge: 'flotilla0', netns: scene.host.path, cidr: '10.77.0.0/16' },
      ...{ ipv6: undefined, dns: undefined, lanBridges: 'br0=192.168.7.128/25,br8,port0' },
    });
    const question = { settings, owner: '/srv/x', isRoot: true, machineIds: new Set<string>() };
    expect((await examineNetwork(question, patience())).slice(1)).toMatchObject([
      {
        level: 'fine',
        message: 'machines may stand on the bridge br0: addresses by DHCP, or of 192.168.7.128/25',
      },
      { level: 'problem', message: 'the bridge br8 of this host is not there' },
      { level: 'problem', message: 'the bridge port0 of this host is no bridge' },
    ]);
  });

  it('are off the network while their bridge is missing, say so, and are on it again', async () => {
    const guest = await scene.guest();
    const { machineId } = guest.attachment;
    await scene.host.ip('link delete br0');
    await scene.network.list(patience());
    expect(scene.network.troubleOf(machineId)).toBe('the bridge br0 of this host is not there');
    await scene.host.ip(
      'link add br0 type bridge',
      'link set port0 master br0',
      `address add ${lanHostAddress}/24 dev br0`,
      'link set br0 up',
    );
    await scene.network.list(patience());
    expect(scene.network.troubleOf(machineId)).toBeNull();
    expect(await guest.space.ask('tcp', stationAddress, 80)).toBe(`${addressOf(guest)} hello`);
  });
});
