/**
 * The daemon is killed while machines run: they keep running, and the next daemon adopts them and takes up
 * operations.
 */

import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Machine } from '../../sdk/src/index.ts';
import { QmpClient } from '../../src/engines/qemu/qmp.ts';
import { type DaemonProcess, makeStateDirectory, startDaemonProcess } from '../support/daemon.ts';

vi.setConfig({ testTimeout: 400_000, hookTimeout: 400_000 });

let directory: Awaited<ReturnType<typeof makeStateDirectory>>;
let daemon: DaemonProcess;
/** Ports of its own: any other daemon could take one of the usual ones while this daemon is dead. */
const firstPort = 10_000 + (process.pid % 900) * 10;
// Without a bridge the daemon itself carries connections to published ports, so their end is the daemon's, too.
const start = () =>
  startDaemonProcess(directory.path, undefined, {
    FLOTILLA_NETWORK: 'user',
    FLOTILLA_PORT_RANGE: `${firstPort}-${firstPort + 9}`,
  });

beforeAll(async () => {
  directory = await makeStateDirectory();
  daemon = await start();
});

afterAll(async () => {
  const { machines } = await daemon.client.machines.list();
  for (const { id } of machines) await daemon.client.machines.delete(id, { force: true });
  await daemon.terminate();
  await directory.remove();
});

const spec = { vcpu_count: 1, mem_size_mib: 128, image: 'busybox' };

test('three machines, a running command and a create: all adopted, nothing lost, nothing left', async () => {
  const { machines } = daemon.client;
  const running: Machine[] = [];
  for (const name of ['one', 'two', 'three']) {
    const { id } = await machines.create({ ...spec, name });
    running.push(await machines.start(id));
  }
  const command = machines.execStream('one', { command: ['sh', '-c', 'echo begun; sleep 9999'] });
  expect((await command.next()).value).toMatchObject({ type: 'stdout' });
  const ended = command.next();
  const creating = machines.create({ ...spec, name: 'four' }).catch(() => null);

  await daemon.kill();
  // The client learns that the outcome is unknown, not that the command has ended.
  expect((await ended).value).toMatchObject({ type: 'outcome', outcome: 'unknown' });
  await creating;

  daemon = await start();
  for (const before of running) {
    const now = await daemon.client.machines.get(before.id);
    expect(now).toMatchObject({ status: 'running', pid: before.pid, started_at: before.started_at });
    const { stdout } = await daemon.client.machines.exec(before.id, { command: ['hostname'] });
    expect(stdout).toBe(`${before.name}\n`);
  }
  const { machines: listed } = await daemon.client.machines.list();
  expect(listed.map(({ status }) => status)).toEqual(
    expect.arrayContaining(['running', 'running', 'running']),
  );
  for (const { name, status } of listed) {
    if (name === 'four') expect(status).toBe('pending');
    else expect(status).toBe('running');
  }
  // The old daemon's command is gone with its link.
  const gone = 'while ps | grep -q "[s]leep 9999"; do :; done; echo gone';
  expect(await daemon.client.machines.exec('one', { command: ['sh', '-c', gone] })).toMatchObject({
    stdout: 'gone\n',
  });
});

test('a published port is a port of the host again when the next daemon listens', async () => {
  const serve = 'mkdir -p /srv/www; echo hello > /srv/www/index.html; httpd -p 8080 -h /srv/www';
  expect(await daemon.client.machines.exec('three', { command: ['sh', '-c', serve] })).toMatchObject({
    exit_code: 0,
  });
  const { port } = await daemon.client.network.publish('three', { guest_port: 8080 });
  const ask = () => fetch(`http://127.0.0.1:${port.host_port}/index.html`).then((answer) => answer.text());
  expect(await ask()).toBe('hello\n');
  await daemon.kill();
  await expect(ask()).rejects.toMatchObject({ cause: { code: 'ECONNREFUSED' } });
  daemon = await start();
  expect(await ask()).toBe('hello\n');
});

test('a guest’s exit without a daemon is known afterwards', async () => {
  const { machines } = daemon.client;
  const sockets = await Promise.all(['one', 'two'].map(async (name) => socketOf(await machines.get(name))));
  const later = (command: string) => ['sh', '-c', `(sleep 3; ${command}) </dev/null >/dev/null 2>&1 &`];
  await machines.exec('one', { command: later('poweroff') });
  await machines.exec('two', { command: later('echo c > /proc/sysrq-trigger') });
  await daemon.kill();
  await Promise.all(sockets.map(guestEnded));

  daemon = await start();
  expect(await daemon.client.machines.get('one')).toMatchObject({
    status: 'stopped',
    failure: null,
    pid: null,
  });
  expect(await daemon.client.machines.get('two')).toMatchObject({
    status: 'failed',
    error_message: expect.stringContaining('kernel panicked'),
    failure: {
      code: 'guest_panic',
      console: expect.arrayContaining([expect.stringContaining('Kernel panic')]),
    },
  });
  expect(await daemon.client.machines.get('three')).toMatchObject({ status: 'running' });
});

test('a VMM that dies without a daemon is a failure afterwards', async () => {
  const { pid } = await daemon.client.machines.get('three');
  await daemon.kill();
  process.kill(pid ?? -1, 'SIGKILL');
  daemon = await start();
  expect(await daemon.client.machines.get('three')).toMatchObject({
    status: 'failed',
    failure: { code: 'vmm_died' },
  });
  expect(await daemon.client.machines.start('three')).toMatchObject({ status: 'running', failure: null });
});

test('SIGTERM ends only the daemon, not its machines', async () => {
  const { pid } = await daemon.client.machines.get('three');
  await daemon.terminate();
  daemon = await start();
  expect(await daemon.client.machines.get('three')).toMatchObject({ status: 'running', pid });
});

/** Resolves when the guest of this monitor has powered off or reset; QEMU then stays paused. */
async function guestEnded(socketPath: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const qmp = await QmpClient.connect(socketPath, {
    timeoutMs: 10_000,
    onEvent: (name) => name === 'SHUTDOWN' && resolve(),
    onClose: () => undefined,
  });
  const { status } = (await qmp.execute('query-status', {}, 10_000)) as { status: string };
  if (status === 'shutdown') resolve();
  await promise;
  qmp.close();
}

/** Missing in the SDK's types: only Hyperfleet's clients use it. */
function socketOf(machine: Machine): string {
  return 'socket_path' in machine && typeof machine.socket_path === 'string' ? machine.socket_path : '';
}
