/**
 * Runs the commands of the pages on networks, the proxy, idle machines and snapshots, unchanged: the daemon has a network namespace
 * of its own, as a host of its own, and so the ports that the pages name.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { Internet, whyNoNamespaces } from '../../src/network/lab/namespaces.ts';
import { type DaemonProcess, launchDaemonIn, makeStateDirectory } from '../support/daemon.ts';
import { repository, runCommand } from '../support/host.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const reason = await whyNoNamespaces();
if (reason !== null) console.warn(`not run: ${reason}`);

describe.skipIf(reason !== null)('the commands of', () => {
  let internet: Internet;
  let state: Awaited<ReturnType<typeof makeStateDirectory>>;
  let daemon: DaemonProcess;

  /** Runs all blocks of the page as one script, and resolves with what it printed. */
  async function run(page: string): Promise<string> {
    const text = await readFile(join(repository, page), 'utf8');
    const script = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block).join('');
    const env = { ...process.env, FLOTILLA_URL: daemon.url, FLOTILLA_KEY: daemon.key };
    const args = [`--net=${internet.host.path}`, '--', 'bash', '-euo', 'pipefail', '-c', script];
    const { exitCode, stdout, stderr } = await runCommand('nsenter', args, { env });
    expect(exitCode, stderr).toBe(0);
    return stdout.toString();
  }

  beforeAll(async () => {
    internet = await Internet.make();
    state = await makeStateDirectory();
    daemon = await launchDaemonIn(internet.host.path, state.path, {
      ...{ FLOTILLA_NETWORK: 'bridge', PROXY_PORT: '4000' },
    });
  });
  afterEach(async () => {
    for (const { id } of (await daemon.client.machines.list()).machines)
      await daemon.client.machines.delete(id, { force: true });
  });
  afterAll(async () => {
    await daemon?.terminate();
    await state?.remove();
    await internet?.[Symbol.asyncDispose]();
  });

  test('docs/network.md', async () => {
    const printed = await run('docs/network.md');
    expect(printed).toMatch(/80\/tcp -> 127\.0\.0\.1:8080/);
    const { network } = await daemon.client.machines.get('web');
    expect(network).toMatchObject({ egress: 'deny', ports: [{ guest_port: 80, host_port: 8080 }] });
  });

  test('docs/proxy.md', async () => {
    expect(await run('docs/proxy.md')).toMatch(/^hello$/m);
    const { routes } = await daemon.client.routes.list();
    expect(routes).toMatchObject([{ subdomain: 'preview', target_port: 8080 }]);
  });

  test('docs/snapshots.md', async () => {
    const printed = await run('docs/snapshots.md');
    // Disk and memory as they were, of the machine that was set back, of a fork and of a copy.
    expect(printed.match(/^(?:one|two)$/gm)).toEqual(['one', 'one', 'one', 'one']);
    expect((await daemon.client.machines.list()).machines).toEqual([]);
    expect((await daemon.client.snapshots.list()).total).toBe(0);
  });

  test('docs/idle.md', async () => {
    await run('docs/idle.md');
    expect((await daemon.client.machines.get('web')).idle).toBeNull();
  });
});
