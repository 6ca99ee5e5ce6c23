/** The host goes down with running machines: every process is gone, and the boot id has changed. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type DaemonProcess, makeStateDirectory, startDaemonProcess } from '../support/daemon.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

let directory: Awaited<ReturnType<typeof makeStateDirectory>>;
let daemon: DaemonProcess;

beforeAll(async () => {
  directory = await makeStateDirectory();
  daemon = await startDaemonProcess(directory.path);
});
afterAll(async () => {
  for (const { id } of (await daemon.client.machines.list()).machines)
    await daemon.client.machines.delete(id, { force: true });
  await daemon.terminate();
  await directory.remove();
});

/** Ends the daemon and a VMM at once, and starts a daemon for which the host has another boot id. */
async function reboot(vmmPid: number | null | undefined): Promise<void> {
  await daemon.kill();
  process.kill(vmmPid ?? -1, 'SIGKILL');
  const database = new DatabaseSync(join(directory.path, 'flotilla.db'));
  for (const table of ['machines', 'operations'])
    database.exec(
      `update ${table} set boot_id = '00000000-0000-0000-0000-000000000000' where boot_id is not null`,
    );
  database.close();
  daemon = await startDaemonProcess(directory.path);
}

test('machines that should run are running again; others stay stopped', async () => {
  const { machines } = daemon.client;
  for (const name of ['on', 'off']) {
    await machines.create({ name, vcpu_count: 1, mem_size_mib: 128, image: 'busybox' });
    await machines.start(name);
  }
  await machines.exec('on', { command: ['sh', '-c', 'echo kept > /root/kept; sync'] });
  await machines.stop('off');
  const { pid } = await machines.get('on');

  await reboot(pid);
  const after = await daemon.client.machines.wait('on', { status: 'running', timeout: 30 });
  expect(after).toMatchObject({ failure: null });
  expect(after.pid).not.toBe(pid);
  expect(await daemon.client.machines.exec('on', { command: ['cat', '/root/kept'] })).toMatchObject({
    stdout: 'kept\n',
  });
  expect(await daemon.client.machines.get('off')).toMatchObject({
    status: 'stopped',
    failure: null,
    pid: null,
  });
});

test('a guest that was growing its file system is started again, and the file system is whole', async () => {
  const diskMib = 512 * 1024;
  await daemon.client.machines.create({
    ...{ name: 'grows', vcpu_count: 1, mem_size_mib: 96, image: 'busybox', disk_size_mib: diskMib },
  });
  const { rootfs_path: disk } = await daemon.client.machines.get('grows');
  const writtenBytes = () => statSync(disk).blocks * 512;
  const before = writtenBytes();
  const started = daemon.client.machines.start('grows').catch((error: unknown) => error);
  await vi.waitUntil(() => writtenBytes() > before + 1024 * 1024, { timeout: 100_000, interval: 1 });
  const { pid, status } = await daemon.client.machines.get('grows');
  expect(status).toBe('starting');

  await reboot(pid);
  expect(await started).toBeInstanceOf(Error);
  const { machines } = daemon.client;
  await machines.wait('grows', { status: 'running', timeout: 30 });
  const look = "df -m / | awk 'END { print $2 }'; dmesg | grep -cE 'EXT4-fs (error|warning)|kernel BUG|Oops'";
  const { stdout } = await machines.exec('grows', { command: ['sh', '-c', look] });
  const [sizeMib, faults] = stdout.split('\n').map(Number);
  expect(sizeMib).toBeGreaterThan(diskMib * 0.95);
  expect(faults).toBe(0);
});
