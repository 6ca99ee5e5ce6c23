/**
 * A real guest on a bridge that is its host's own, in namespaces that stand for the host and for a station with a DHCP server
 * (dnsmasq): it gets an address there and keeps it, can pretend nothing, and nothing of it is left.
 */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Lan, stationAddress } from '../../src/network/lab/lan-scene.ts';
import { Namespace, silenceMs, whyNoNamespaces } from '../../src/network/lab/namespaces.ts';
import { lanTapName } from '../../src/network/names.ts';
import {
  type DaemonProcess,
  type KillMoment,
  launchDaemon,
  makeStateDirectory,
  startDaemonProcess,
} from '../support/daemon.ts';
import { FrameSender } from '../support/frame-sender.ts';
import { broadcast, routerFrame, udpFrame } from '../support/frames.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const reason = await whyNoNamespaces();
if (reason !== null) console.warn(`not run: ${reason}`);

describe.skipIf(reason !== null)('a guest on a bridge of its host', () => {
  let host: Namespace;
  let lan: Lan;
  let state: Awaited<ReturnType<typeof makeStateDirectory>>;
  let daemon: DaemonProcess;
  let sender: FrameSender;

  const env = () => ({
    FLOTILLA_NETNS: host.path,
    FLOTILLA_NETWORK: 'user',
    FLOTILLA_NETWORK_LAN_BRIDGES: 'br0=192.168.7.128/25',
  });
  const launch = () => launchDaemon(state.path, env());
  const serveDhcp = (range?: { readonly first: string; readonly last: string }) =>
    lan.serveDhcp([`--dhcp-option=option:dns-server,${stationAddress}`], range);
  const network = async () => (await daemon.client.machines.get('web')).network;
  const shell = async (script: string) =>
    (await daemon.client.machines.exec('web', { command: ['sh', '-c', script], timeout: 60 })).stdout;
  /** The address that the guest reports, once it differs from this one. */
  const addressAfter = async (before: string | null) => {
    await expect
      .poll(async () => (await network()).lan?.reported?.address ?? before, {
        timeout: 60_000,
        interval: 250,
      })
      .not.toBe(before);
    return (await network()).lan?.reported?.address ?? '';
  };
  /** What the station gets from a program of the guest. */
  const page = (address: string) =>
    lan.station.open(address, 8080).then(
      () => true,
      () => false,
    );
  const serve = () => shell('mkdir -p /srv/www; httpd -p 8080 -h /srv/www');

  beforeAll(async () => {
    sender = await FrameSender.build();
    host = await Namespace.make();
    lan = await Lan.make(host);
    await serveDhcp();
    await lan.station.serve('tcp', 7777);
    // Counts what guests must not send.
    await lan.station.run(
      'nft',
      ['-f', '-'],
      `table inet seen {
        counter forged { }
        chain arrived { type filter hook prerouting priority raw;
          iifname eth0 udp sport 67 counter name forged
          iifname eth0 ip saddr 192.168.7.200-192.168.7.209 counter name forged
          iifname eth0 icmpv6 type nd-router-advert counter name forged
        }
      }`,
    );
    state = await makeStateDirectory();
    daemon = await launch();
    await daemon.client.machines.create({
      ...{ name: 'web', vcpu_count: 1, mem_size_mib: 128, image: 'busybox' },
      network: { mode: 'bridge' },
    });
    await daemon.client.machines.start('web');
  });
  afterAll(async () => {
    // None, unless a test has failed.
    const { machines = [] } = (await daemon?.client.machines.list()) ?? {};
    for (const { id } of machines) await daemon.client.machines.delete(id, { force: true });
    await daemon?.terminate();
    await state?.remove();
    await lan?.[Symbol.asyncDispose]();
    await host?.[Symbol.asyncDispose]();
  });

  test('gets an address of the DHCP server, and is reached there by others', async () => {
    const address = await addressAfter(null);
    const { mac, ...shown } = await network();
    expect(await lan.leaseOf(mac ?? '')).toBe(address);
    expect(shown).toMatchObject({
      ...{ mode: 'bridge', note: null, ip: address, gateway: stationAddress, ports: [] },
      lan: { bridge: 'br0', fixed: null, reported: { prefix: 24, resolvers: [stationAddress] } },
    });
    await serve();
    expect(await page(address)).toBe(true);
    expect(await shell('ip route; cat /etc/resolv.conf')).toMatch(
      /default via 192\.168\.7\.1[\s\S]*nameserver 192\.168\.7\.1/,
    );
  });

  test('pretends to be nobody else, and answers no DHCP', async () => {
    const { mac, ip } = await network();
    const own = mac ?? '';
    const everyone = { from: own, to: broadcast };
    await sender.install(daemon.client, 'web');
    await sender.once(daemon.client, 'web', [
      udpFrame(everyone, '192.168.7.205', stationAddress, 90),
      udpFrame({ ...everyone, from: '06:00:00:00:00:01' }, '192.168.7.206', stationAddress, 90),
      udpFrame(everyone, ip ?? '', '255.255.255.255', 68, 67),
      udpFrame(everyone, '0.0.0.0', '255.255.255.255', 68, 67),
      routerFrame(everyone, 'fe80::1', 'fd07::'),
    ]);
    await shell(`ip address add 192.168.7.207/24 dev eth0`);
    // Whatever was sent before has arrived with this answer.
    const { station } = lan;
    expect(await station.ask('tcp', '192.168.7.207', 8080, { timeoutMs: silenceMs })).toBeNull();
    expect(await shell(`echo hello | nc -w 5 ${stationAddress} 7777`)).toContain('hello');
    expect(await station.run('nft', ['list', 'counter', 'inet', 'seen', 'forged'])).toContain('packets 0 ');
    await shell('ip address del 192.168.7.207/24 dev eth0');
  });

  test('has another address after a pause in which its own was given away', async () => {
    const before = (await network()).ip;
    await daemon.client.machines.pause('web');
    // As when the lease has ended: the server knows nothing of it, and gives other addresses.
    await lan.stopDhcp();
    await lan.forgetLeases();
    await serveDhcp({ first: '192.168.7.110', last: '192.168.7.119' });
    await daemon.client.machines.resume('web');
    const after = await addressAfter(before);
    expect(after).toMatch(/^192\.168\.7\.11\d$/);
    expect(await lan.leaseOf((await network()).mac ?? '')).toBe(after);
    expect(await page(after)).toBe(true);
    expect(await shell('ip -4 address show dev eth0')).not.toContain(` ${before}/`);
  });

  test('keeps its hardware address through stop and start, gets its address again, and outlives the daemon', async () => {
    const before = await network();
    await daemon.client.machines.stop('web');
    expect(await network()).toMatchObject({ mac: before.mac, ip: null, lan: { reported: null } });
    await expectNothingLeft();
    await daemon.client.machines.start('web');
    expect(await addressAfter(null)).toBe(before.ip);
    expect((await network()).mac).toBe(before.mac);
    await daemon.kill();
    daemon = await launch();
    expect(await addressAfter(null)).toBe(before.ip);
    await serve();
    expect(await page(before.ip ?? '')).toBe(true);
  });

  test('leaves nothing when the daemon is killed while it is attached', async () => {
    const { id } = await daemon.client.machines.get('web');
    for (const phase of ['started', 'succeeded'] as const) {
      await daemon.client.machines.stop('web');
      await daemon.terminate();
      const moment: KillMoment = { kind: 'machine.start', step: 'launch', phase };
      const killed = await startDaemonProcess(state.path, moment, env());
      await killed.client.machines.start('web').catch(() => undefined);
      await killed.exited;
      daemon = await launch();
      await expect
        .poll(async () => (await daemon.client.operations.list({ state: 'running' })).total, {
          timeout: 60_000,
        })
        .toBe(0);
      const { status } = await daemon.client.machines.get('web');
      if (status === 'running') expect(await taps()).toEqual([lanTapName(id)]);
      else await expectNothingLeft();
    }
    await daemon.client.machines.delete('web', { force: true });
    await expectNothingLeft();
    // The bridge itself is as it was.
    expect(await host.run('ip', ['-brief', 'link', 'show', 'master', 'br0'])).toMatch(/^port0@\S+ [^\n]*\n$/);
  });

  const taps = async () => [
    ...new Set((await host.run('ip', ['link', 'show'])).match(/\bf[xy][a-z0-9]{12}\b/g) ?? []),
  ];
  const expectNothingLeft = async () => {
    expect(await taps()).toEqual([]);
    const rules = await host.run('nft', ['list', 'ruleset']);
    expect(rules.replace(/set asks \{[\s\S]*?\n\t\}/, '')).not.toMatch(/"f[xy][a-z0-9]{12}"/);
  };
});
