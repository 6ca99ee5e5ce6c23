/**
 * A real guest on a real bridge, in network namespaces that stand for the host and the world: its port is reached from
 * the world, its policy holds from before boot through changes and kill -9 of the daemon, and nothing is left of it.
 */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Internet, whyNoNamespaces } from '../../src/network/lab/namespaces.ts';
import { type DaemonProcess, launchDaemon, makeStateDirectory } from '../support/daemon.ts';
import { FrameSender } from '../support/frame-sender.ts';
import { udpFrame } from '../support/frames.ts';
import { runCommand } from '../support/host.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const reason = await whyNoNamespaces();
if (reason !== null) console.warn(`not run: ${reason}`);

const worldAddress = '198.51.100.2';
const hostAddress = '198.51.100.1';
const hostPort = 18_080;

describe.skipIf(reason !== null)('a guest on a bridge', () => {
  let internet: Internet;
  let state: Awaited<ReturnType<typeof makeStateDirectory>>;
  let daemon: DaemonProcess;
  let sender: FrameSender;

  const launch = () =>
    launchDaemon(state.path, { FLOTILLA_NETWORK: 'bridge', FLOTILLA_NETNS: internet.host.path });
  const shell = async (name: string, script: string) => {
    const { exit_code: exitCode, stdout } = await daemon.client.machines.exec(name, {
      command: ['sh', '-c', script],
      timeout: 60,
    });
    return { exitCode, stdout };
  };
  /** Whether the guest gets an answer of the world. */
  const reachesWorld = async (name: string) =>
    (await shell(name, `echo hello | nc -w 3 ${worldAddress} 7777`)).stdout.includes('hello');
  /** Whether a program of the guest accepts a connection from the world. */
  const connects = () =>
    internet.world.open(hostAddress, hostPort).then(
      () => true,
      () => false,
    );
  const taps = async () =>
    (await internet.host.run('ip', ['-brief', 'link', 'show', 'type', 'tun'])).split('\n').filter(Boolean)
      .length;

  beforeAll(async () => {
    sender = await FrameSender.build();
    internet = await Internet.make();
    state = await makeStateDirectory();
    daemon = await launch();
    await internet.world.serve('tcp', 7777);
    await daemon.client.machines.create({
      ...{ name: 'web', vcpu_count: 1, mem_size_mib: 128, image: 'busybox' },
      network: { egress: 'deny', ports: [{ guest_port: 8080, host_port: hostPort, bind: '0.0.0.0' }] },
    });
    await daemon.client.machines.start('web');
  });
  afterAll(async () => {
    // None, unless a test has failed.
    const { machines = [] } = (await daemon?.client.machines.list()) ?? {};
    for (const { id } of machines) await daemon.client.machines.delete(id, { force: true });
    await daemon?.terminate();
    await state?.remove();
    await internet?.[Symbol.asyncDispose]();
  });

  test('has the address, the routes and the resolver that its machine shows', async () => {
    const { network } = await daemon.client.machines.get('web');
    expect(network).toMatchObject({ mode: 'nat', kind: 'bridge', note: null, gateway: '10.77.0.1' });
    const { stdout } = await shell(
      'web',
      'ip addr; ip route; cat /etc/resolv.conf; cat /proc/sys/kernel/hostname',
    );
    expect(stdout).toContain(`inet ${network.ip}/`);
    expect(stdout).toContain(network.mac ?? 'none');
    expect(stdout).toContain('default via 10.77.0.1');
    expect(stdout).toContain('nameserver 10.77.0.1');
  });

  test('is reached from the world by its published port although it may send nothing by itself', async () => {
    await shell('web', 'mkdir -p /srv/www; echo page > /srv/www/index.html; httpd -p 8080 -h /srv/www');
    expect(await connects()).toBe(true);
    expect(await reachesWorld('web')).toBe(false);
    // Nothing that the guest began has left the host, since before its boot.
    expect([...(await internet.seen()).keys()].filter((packet) => packet.includes('7777'))).toEqual([]);
  });

  test('gets another policy while it runs, which holds when the daemon was killed', async () => {
    const opened = await daemon.client.machines.update('web', { network: { egress: 'allow' } });
    expect(opened.network).toMatchObject({ egress: 'allow', note: null });
    expect(await reachesWorld('web')).toBe(true);
    await daemon.client.machines.update('web', { network: { egress: 'deny' } });
    expect(await reachesWorld('web')).toBe(false);
    await daemon.kill();
    daemon = await launch();
    expect(await reachesWorld('web')).toBe(false);
    expect(await connects()).toBe(true);
  });

  test('has nothing on the host while it is suspended, and the policy of that time from its first packet on', async () => {
    const { machines } = daemon.client;
    const sent = async () =>
      [...(await internet.seen())].filter(([packet]) => packet.includes('7777')).map(([, count]) => count);
    const { network } = await machines.update('web', { network: { egress: 'allow' } });
    const knock = `while :; do echo hello | nc -w 1 ${worldAddress} 7777; sleep 0.1; done`;
    await shell('web', `(${knock}) </dev/null >/dev/null 2>&1 &`);
    await expect.poll(async () => (await sent()).length).toBeGreaterThan(0);
    await machines.suspend('web');
    expect(await taps()).toBe(0);
    expect(await connects()).toBe(false);
    await machines.update('web', { network: { egress: 'deny' } });
    const before = await sent();
    const restored = await machines.start('web');
    expect(restored).toMatchObject({ boot_kind: 'restored', network: { ...network, egress: 'deny' } });
    expect((await shell('web', 'ip addr')).stdout).toContain(network.mac);
    expect(await connects()).toBe(true);
    expect(await reachesWorld('web')).toBe(false);
    expect(await sent()).toEqual(before);
    await shell('web', `pkill -f '[n]c -w 1'; pkill -f 'while :'`);
  });

  test('has counters of what it sends and receives, to the byte, which outlive the daemon', async () => {
    const { machines, network } = daemon.client;
    const counters = async () => (await daemon.client.machines.metrics('web')).network;
    await machines.update('web', { network: { egress: 'allow' } });
    await network.publish('web', { protocol: 'udp', host_port: 18_090, guest_port: 9000, bind: '0.0.0.0' });
    await sender.install(daemon.client, 'web');
    const { ip, mac } = (await machines.get('web')).network;
    const [bridge] = JSON.parse(await internet.host.run('ip', ['-j', 'link', 'show', 'flotilla0']));
    const frame = udpFrame({ from: mac ?? '', to: bridge.address }, ip ?? '', worldAddress, 7778);
    /** Of ARP and the guest's own refusals, and what it still says to clients of the test before. */
    const others = { packets: 100, bytes: 10_000 };

    const before = await counters();
    const sent = 400;
    await sender.once(daemon.client, 'web', new Array<Buffer>(sent).fill(frame));
    await expect.poll(async () => (await internet.seen()).get('udp 7778')).toBe(sent);
    const between = await counters();
    const [bytes, packets] = [
      (between.tx_bytes ?? 0) - (before.tx_bytes ?? 0),
      (between.tx_packets ?? 0) - (before.tx_packets ?? 0),
    ];
    expect(packets).toBeGreaterThanOrEqual(sent);
    expect(packets).toBeLessThan(sent + others.packets);
    expect(bytes).toBeGreaterThanOrEqual(sent * frame.length);
    expect(bytes).toBeLessThan(sent * frame.length + others.bytes);

    const received = 300;
    await internet.world.crowd(hostAddress, 18_090, received);
    await expect
      .poll(async () => ((await counters()).rx_packets ?? 0) - (between.rx_packets ?? 0))
      .toBeGreaterThanOrEqual(received);
    const after = await counters();
    // Each is a word of five letters behind 42 bytes of headers.
    const receivedBytes = (after.rx_bytes ?? 0) - (between.rx_bytes ?? 0);
    expect(receivedBytes).toBeGreaterThanOrEqual(received * 47);
    expect(receivedBytes).toBeLessThan(received * 47 + others.bytes);

    await daemon.kill();
    daemon = await launch();
    const { rx_bytes: rxBytes, tx_bytes: txBytes } = await counters();
    expect(rxBytes).toBeGreaterThanOrEqual(after.rx_bytes ?? 0);
    expect(txBytes).toBeGreaterThanOrEqual(after.tx_bytes ?? 0);
    expect(txBytes).toBeLessThan((after.tx_bytes ?? 0) + 50_000);
    const env = { ...process.env, FLOTILLA_URL: daemon.url, FLOTILLA_KEY: daemon.key };
    const shown = await runCommand('./flotilla', ['stats', 'web', '--no-stream'], { env });
    expect(shown.stdout.toString()).toMatch(/NET IN \/ OUT/);
    expect(shown.stdout.toString()).toMatch(/ [\d.]+ [kM]i?B \/ [\d.]+ [kM]i?B /);
  });

  test('leaves nothing when it stops, and keeps its address and port until it is deleted', async () => {
    const { network } = await daemon.client.machines.get('web');
    expect(await taps()).toBe(1);
    await daemon.client.machines.stop('web');
    expect(await taps()).toBe(0);
    expect(await connects()).toBe(false);
    expect((await daemon.client.machines.start('web')).network).toEqual(network);
    await daemon.client.machines.delete('web', { force: true });
    expect(await taps()).toBe(0);
  });
});
