/** The host goes down with running machines: every process is gone, and the boot id has changed. */
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
  for (const name of ['on', 'off']) await daemon.client.machines.delete(name, { force: true });
  await daemon.terminate();
  await directory.remove();
});

test('machines that should run are running again; others stay stopped', async () => {
  const { machines } = daemon.client;
  for (const name of ['on', 'off']) {
    await machines.create({ name, vcpu_count: 1, mem_size_mib: 128, image: 'busybox' });
    await machines.start(name);
  }
  await machines.exec('on', { command: ['sh', '-c', 'echo kept > /root/kept; sync'] });
  await machines.stop('off');
  const { pid } = await machines.get('on');

  await daemon.kill();
  process.kill(pid ?? -1, 'SIGKILL');
  // The boot id in the records differs from the host's.
  const database = new DatabaseSync(join(directory.path, 'flotilla.db'));
  database.exec(
    "update machines set boot_id = '00000000-0000-0000-0000-000000000000' where boot_id is not null",
  );
  database.close();

  daemon = await startDaemonProcess(directory.path);
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
