/**
 * The egress policies of real guests that never stop sending: what the policy refuses does not arrive in the world, from
 * before the boot through pause, changes, the death of the daemon, stop and start. Packets are counted in the world.
 */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { components } from '../../sdk/src/generated/schema.ts';
import { Internet, whyNoNamespaces } from '../../src/network/lab/namespaces.ts';
import { tapName } from '../../src/network/names.ts';
import { flowsPerGuestMax } from '../../src/network/rules/tables.ts';
import { type DaemonProcess, launchDaemon, makeStateDirectory } from '../support/daemon.ts';
import { FrameSender } from '../support/frame-sender.ts';
import { otherFrames, routerFrame, synFrame, udpFrame } from '../support/frames.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const reason = await whyNoNamespaces();
if (reason !== null) console.warn(`not run: ${reason}`);

const world = '198.51.100.2';
const world6 = '2001:db8:1::2';

type Egress = components['schemas']['EgressPolicy'];

interface Guest {
  readonly name: string;
  readonly egress: Egress;
  /** The only port that the policy allows, if any; all others of the world that the guest sends to follow it. */
  readonly port: number;
  readonly tap: string;
}

describe.skipIf(reason !== null)('guests that send without end', () => {
  let internet: Internet;
  let state: Awaited<ReturnType<typeof makeStateDirectory>>;
  let daemon: DaemonProcess;
  let sender: FrameSender;
  let denied: Guest;
  let limited: Guest;

  const launch = () =>
    launchDaemon(state.path, { FLOTILLA_NETWORK: 'bridge', FLOTILLA_NETNS: internet.host.path });
  const shell = async ({ name }: Guest, script: string) =>
    (await daemon.client.machines.exec(name, { command: ['sh', '-c', script], timeout: 60 })).stdout;

  const allowlist = (port: number): Egress => ({
    allow: [{ to: world, protocol: 'udp', ports: [port] }],
  });

  /** Starts a machine whose user data sends as soon as it runs. */
  async function boot(name: string, egress: Egress, port: number): Promise<Guest> {
    const user_data = `#!/bin/sh
(while :; do
  timeout 1 tftp -g -r x -l /dev/null ${world} ${port + 5}; echo x | nc -w 1 ${world} ${port + 6}; ping -c 1 -W 1 ${world}
  nslookup early.example ${world}; nslookup early.example
  echo tried >> /tmp/tried
done) >/dev/null 2>&1 &
`;
    const spec = { name, vcpu_count: 1, mem_size_mib: 128, image: 'busybox', user_data, network: { egress } };
    const { id } = await daemon.client.machines.create(spec);
    await daemon.client.machines.start(name);
    return { name, egress, port, tap: tapName(id) };
  }

  /** Frames of every kind, to the port and others. */
  async function flood(guest: Guest): Promise<void> {
    const [bridge] = JSON.parse(await internet.host.run('ip', ['-j', 'link', 'show', 'flotilla0']));
    const { network } = await daemon.client.machines.get(guest.name);
    const ends = { from: network.mac ?? '', to: bridge.address as string };
    const [ip, port] = [network.ip ?? '', guest.port];
    await sender.forever(daemon.client, guest.name, [
      udpFrame(ends, ip, world, port),
      udpFrame(ends, ip, world, port + 1),
      udpFrame(ends, ip, world, 53),
      synFrame(ends, ip, world, port + 2),
      synFrame(ends, ip, world, 853),
      ...otherFrames(ends, ip, world),
      // There is no IPv6 in this network.
      udpFrame(ends, 'fe80::66', world6, port + 3),
      udpFrame(ends, 'fd77::66', world6, port + 3),
      routerFrame(ends, 'fe80::66', '2001:db8:66::'),
    ]);
  }

  const sent = async ({ tap }: Guest) => {
    const [link] = JSON.parse(await internet.host.run('ip', ['-j', '-s', 'link', 'show', tap]));
    return link.stats64.rx.packets as number;
  };
  /** Waits until the guest has sent so many packets more. */
  const progress = async (guest: Guest, packets: number) => {
    const before = await sent(guest);
    await expect.poll(() => sent(guest), { timeout: 60_000 }).toBeGreaterThan(before + packets);
  };
  const arrivedAt = async (port: number) => (await internet.seen()).get(`udp ${port}`) ?? 0;
  /** What the world has received, without what the one guest may send. */
  const refused = async () =>
    new Map([...(await internet.seen())].filter(([key]) => key !== `udp ${limited.port}`));

  /** Both send on; nothing that is refused arrives, and what is allowed does. */
  async function expectInForce(): Promise<void> {
    for (const guest of [denied, limited]) await progress(guest, 5);
    const [before, allowed] = [await refused(), await arrivedAt(limited.port)];
    for (const guest of [denied, limited]) await progress(guest, 300);
    expect(await refused()).toEqual(before);
    expect(await arrivedAt(limited.port)).toBeGreaterThan(allowed);
  }

  beforeAll(async () => {
    sender = await FrameSender.build();
    internet = await Internet.make();
    state = await makeStateDirectory();
    daemon = await launch();
    denied = await boot('denied', 'deny', 9100);
    limited = await boot('limited', allowlist(9200), 9200);
  });
  afterAll(async () => {
    for (const guest of [denied, limited])
      if (guest) await daemon.client.machines.delete(guest.name, { force: true });
    await daemon?.terminate();
    await state?.remove();
    await internet?.[Symbol.asyncDispose]();
  });

  test('have sent nothing to the world since their first instruction', async () => {
    for (const guest of [denied, limited])
      await shell(guest, 'until [ "$(wc -l < /tmp/tried)" -ge 2 ]; do sleep 0.1; done');
    expect([...(await internet.seen()).keys()]).toEqual([]);
  });

  test('get out what their policy allows, and nothing else', async () => {
    const routes = await internet.host.run('ip', ['-6', 'route']);
    for (const guest of [denied, limited]) {
      await sender.install(daemon.client, guest.name);
      await flood(guest);
    }
    await expectInForce();
    expect([...(await internet.seen()).keys()]).toEqual([`udp ${limited.port}`]);
    expect(await internet.host.run('ip', ['-6', 'route'])).toBe(routes);
  });

  test('are held by it through pause and resume', async () => {
    for (const { name } of [denied, limited]) await daemon.client.machines.pause(name);
    for (const { name } of [denied, limited]) await daemon.client.machines.resume(name);
    await expectInForce();
    expect([...(await internet.seen()).keys()]).toEqual([`udp ${limited.port}`]);
  });

  test('are held by each policy that they get while they run', async () => {
    const { machines } = daemon.client;
    const change = (guest: Guest, egress: Egress) => machines.update(guest.name, { network: { egress } });
    await change(denied, 'allow');
    await expect.poll(() => arrivedAt(denied.port + 1), { timeout: 60_000 }).toBeGreaterThan(0);
    await change(denied, 'deny');
    await expectInForce();
    await change(limited, 'deny');
    await progress(limited, 5);
    const before = await internet.seen();
    for (const guest of [denied, limited]) await progress(guest, 300);
    expect(await internet.seen()).toEqual(before);
    await change(limited, limited.egress);
    await expectInForce();
  });

  test('are held by it while the daemon is dead, and by the next one', async () => {
    await daemon.kill();
    try {
      await expectInForce();
    } finally {
      daemon = await launch();
    }
    await expectInForce();
  });

  test('are held by it after stop and start', async () => {
    const before = await refused();
    for (const guest of [denied, limited]) {
      await daemon.client.machines.stop(guest.name);
      await daemon.client.machines.start(guest.name);
      await flood(guest);
    }
    await expectInForce();
    expect(await refused()).toEqual(before);
  });

  test('cannot fill the host’s table of connections: others get theirs', async () => {
    await internet.world.serve('tcp', 7777);
    const greet = (guest: Guest) => shell(guest, `echo hello | nc -w 5 ${world} 7777`);
    for (const { name } of [denied, limited])
      await daemon.client.machines.update(name, { network: { egress: 'allow' } });
    expect(await greet(denied)).toContain('hello');
    const last = 20_000 + flowsPerGuestMax + 500;
    await sender.flows(daemon.client, denied.name, world, 20_000, last);
    const { network } = await daemon.client.machines.get(denied.name);
    const args = ['-L', '-f', 'ipv4', '--orig-src', network.ip ?? ''];
    const flows = (await internet.host.run('conntrack', args)).split('\n').filter(Boolean).length;
    expect(flows).toBeGreaterThan(flowsPerGuestMax / 2);
    expect(flows).toBeLessThanOrEqual(flowsPerGuestMax + 1);
    expect(await greet(denied)).toBe('');
    expect(await greet(limited)).toContain('hello');
  });
});
