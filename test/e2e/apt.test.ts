/**
 * Debian's package manager in a guest that may reach the archive by its name, and nothing else. The archive is the one
 * that this host uses: connections of the guest's world to it are relayed.
 */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { NameServer } from '../../src/network/lab/name-server.ts';
import { Internet, whyNoNamespaces } from '../../src/network/lab/namespaces.ts';
import { type DaemonProcess, launchDaemon, makeStateDirectory } from '../support/daemon.ts';
import { runCommand } from '../support/host.ts';

vi.setConfig({ testTimeout: 900_000, hookTimeout: 300_000 });

const reason = await whyNoNamespaces();
if (reason !== null) console.warn(`not run: ${reason}`);

const archiveAddress = '203.0.113.7';

describe.skipIf(reason !== null)('a guest with an allowlist of names', () => {
  let internet: Internet;
  let state: Awaited<ReturnType<typeof makeStateDirectory>>;
  let daemon: DaemonProcess;
  let names: NameServer;
  let relayDirectory: string;
  let relay: Server;
  let archive: URL;

  const shell = (script: string, timeout = 60) =>
    daemon.client.machines.exec('deb', { command: ['bash', '-euo', 'pipefail', '-c', script], timeout });

  beforeAll(async () => {
    archive = await archiveOfHost();
    internet = await Internet.make();
    names = await NameServer.make();
    names.set(archive.hostname, 'A', archiveAddress);
    names.set('elsewhere.example', 'A', archiveAddress);
    relayDirectory = await mkdtemp(join(tmpdir(), 'f-relay-'));
    const path = join(relayDirectory, 'archive.sock');
    relay = createServer((socket) => {
      const out = connect({ host: archive.hostname, port: Number(archive.port) || 80 });
      // The guest sees an end that was not in order.
      pipeline(socket, out, socket, () => undefined);
    });
    relay.listen(path);
    await once(relay, 'listening');
    await internet.world.relay(archiveAddress, 80, path);
    state = await makeStateDirectory();
    daemon = await launchDaemon(state.path, {
      ...{ FLOTILLA_NETWORK: 'bridge', FLOTILLA_NETNS: internet.host.path, FLOTILLA_DNS: names.address },
    });
    await daemon.client.machines.create({
      ...{ name: 'deb', vcpu_count: 1, mem_size_mib: 512, image: 'debian-12' },
      network: { egress: { allow: [{ to: archive.hostname, protocol: 'tcp', ports: [80] }] } },
    });
    await daemon.client.machines.start('deb');
  });
  afterAll(async () => {
    await daemon?.client.machines.delete('deb', { force: true });
    await daemon?.terminate();
    await state?.remove();
    await names?.[Symbol.asyncDispose]();
    if (relay) {
      relay.close();
      await once(relay, 'close');
    }
    if (relayDirectory) await rm(relayDirectory, { recursive: true });
    await internet?.[Symbol.asyncDispose]();
  });

  test('installs a package from the archive that it names', async () => {
    const source = `deb http://${archive.hostname}${archive.pathname} bookworm main`;
    // Under emulation, most of the time is spent on unpacking the archive's index; gzip takes less than xz.
    const options = 'Acquire::Languages "none"; Acquire::CompressionTypes::Order:: "gz";';
    await shell(`echo '${source}' > /etc/apt/sources.list; echo '${options}' > /etc/apt/apt.conf.d/90quick`);
    const updated = await shell('apt-get -q update', 240);
    expect(updated.exit_code, updated.stdout + updated.stderr).toBe(0);
    expect(updated.stderr).not.toMatch(/^[WE]:/m);
    const installed = await shell('apt-get -q -y --no-install-recommends install hello && hello', 240);
    expect(installed.exit_code, installed.stdout + installed.stderr).toBe(0);
    expect(installed.stdout).toMatch(/^Hello, world!$/m);
  });

  test('is refused every other name, also of the same address, and every other port; the log says so', async () => {
    const other = await shell('getent hosts elsewhere.example || echo "refused $?"');
    expect(other.stdout).toBe('refused 2\n');
    const connected = await shell(`(: < /dev/tcp/${archiveAddress}/443) 2>/dev/null || echo refused`);
    expect(connected.stdout).toBe('refused\n');
    expect(names.asked).not.toContain('elsewhere.example');
    const { denied } = await daemon.client.network.denied('deb');
    expect(denied).toContainEqual(expect.objectContaining({ protocol: 'dns', domain: 'elsewhere.example' }));
    expect(denied).toContainEqual(
      expect.objectContaining({ protocol: 'tcp', address: archiveAddress, port: 443 }),
    );
  });
});

/** Where this host gets the packages of Debian 12. */
async function archiveOfHost(): Promise<URL> {
  const args = ['indextargets', '--format', '$(SITE) $(CODENAME)', 'Created-By: Packages'];
  const { stdout } = await runCommand('apt-get', args, { env: process.env });
  const sites = stdout
    .toString()
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([site = '', codename]) => codename === 'bookworm' && /^http:.*\/debian\/?$/.test(site));
  const [site] = sites[0] ?? [];
  if (site === undefined) throw new Error('this host has no archive of Debian 12 in its sources, over http');
  return new URL(site);
}
