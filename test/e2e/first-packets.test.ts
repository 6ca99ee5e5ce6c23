/**
 * The egress policy of a real guest that sends from its first moment: a program that runs before the guest agent brings
 * the interface up and sends without end. Packets are counted in the world, from before there was a tap.
 */
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { macOf } from '../../src/core/network/addresses.ts';
import { cpioArchive } from '../../src/engines/testing/cpio.ts';
import { readConfig } from '../../src/main/config.ts';
import { Internet, whyNoNamespaces } from '../../src/network/lab/namespaces.ts';
import { tapName } from '../../src/network/names.ts';
import { CacheLayout } from '../../src/storage/layout.ts';
import { type DaemonProcess, launchDaemon, makeStateDirectory } from '../support/daemon.ts';
import { otherFrames, routerFrame, synFrame, udpFrame } from '../support/frames.ts';
import { buildGoProgram } from '../support/go-program.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const reason = await whyNoNamespaces();
if (reason !== null) console.warn(`not run: ${reason}`);

const world = '198.51.100.2';
const ip = '10.77.0.77';
const port = 9500;
const spec = { vcpu_count: 1, mem_size_mib: 128, image: 'busybox' };

describe.skipIf(reason !== null)('a guest that sends from its first moment', () => {
  let internet: Internet;
  let state: Awaited<ReturnType<typeof makeStateDirectory>>;
  let daemon: DaemonProcess;

  /** Of every kind, forged ones included. */
  async function frames(): Promise<readonly Buffer[]> {
    const [bridge] = JSON.parse(await internet.host.run('ip', ['-j', 'link', 'show', 'flotilla0']));
    const ends = { from: macOf(ip), to: bridge.address as string };
    return [
      udpFrame(ends, ip, world, port),
      udpFrame(ends, ip, world, 53),
      synFrame(ends, ip, world, port + 1),
      ...otherFrames(ends, ip, world),
      udpFrame(ends, '10.77.0.78', world, port + 2),
      routerFrame(ends, 'fe80::66', '2001:db8:66::'),
    ];
  }

  /** Puts the sender before the agent, for the guests of this daemon. */
  async function putFirst(sent: readonly Buffer[]): Promise<void> {
    const kits = join(state.path, 'boot');
    const [kit] = (await readdir(kits, { withFileTypes: true })).filter((entry) => entry.isDirectory());
    const initrd = join(kits, kit?.name ?? '', 'initrd');
    const agent = await readFile(new CacheLayout(readConfig(process.env).cacheDir).guestAgent);
    const words = ['eth0', ...sent.map((frame) => frame.toString('hex'))].join('\n');
    const added = cpioArchive([
      { path: 'init', mode: 0o100755, data: await buildGoProgram('guest-frames') },
      { path: 'agent', mode: 0o100755, data: agent },
      { path: 'frames', mode: 0o100444, data: Buffer.from(words) },
    ]);
    const before = await readFile(initrd);
    // A new file: the other is also that of the cache.
    await rm(initrd);
    await writeFile(initrd, Buffer.concat([before, added]), { mode: 0o444 });
  }

  beforeAll(async () => {
    internet = await Internet.make();
    state = await makeStateDirectory();
    daemon = await launchDaemon(state.path, {
      FLOTILLA_NETWORK: 'bridge',
      FLOTILLA_NETNS: internet.host.path,
    });
    // Its start brings the boot kit into the state directory.
    const { machines } = daemon.client;
    await machines.create({ ...spec, name: 'plain', network: { mode: 'none' } });
    await machines.start('plain');
    await machines.delete('plain', { force: true });
    await putFirst(await frames());
  });
  afterAll(async () => {
    for (const { id } of (await daemon?.client.machines.list())?.machines ?? [])
      await daemon.client.machines.delete(id, { force: true });
    await daemon?.terminate();
    await state?.remove();
    await internet?.[Symbol.asyncDispose]();
  });

  test('reaches nobody under `deny`, and the world once it may', async () => {
    const { machines } = daemon.client;
    const { id } = await machines.create({
      ...spec,
      name: 'early',
      network: { address: ip, egress: 'deny' },
    });
    await machines.start('early');
    const sent = async () => {
      const [link] = JSON.parse(await internet.host.run('ip', ['-j', '-s', 'link', 'show', tapName(id)]));
      return link.stats64.rx.packets as number;
    };
    await expect.poll(sent, { timeout: 60_000 }).toBeGreaterThan(500);
    const console = await machines.console('early', { lines: 1000 });
    expect(console).toContain('guest-frames: the first frames are sent');
    expect([...(await internet.seen()).keys()]).toEqual([]);
    // So these would have arrived.
    await machines.update('early', { network: { egress: 'allow' } });
    const seen = async () => [...(await internet.seen()).keys()].sort();
    await expect
      .poll(seen, { timeout: 60_000 })
      .toEqual(expect.arrayContaining([`udp ${port}`, 'udp 53', `tcp ${port + 1}`, 'icmp 0']));
    expect(await seen()).not.toContain(`udp ${port + 2}`);
  });
});
