/** Snapshots and forks of real guests, through the SDK: what is kept, what differs, and what stays when the daemon is replaced. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import type { MachineHandle } from '../../sdk/src/index.ts';
import { type DaemonProcess, makeStateDirectory, startDaemonProcess } from '../support/daemon.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

let state: Awaited<ReturnType<typeof makeStateDirectory>>;
let daemon: DaemonProcess;
let web: MachineHandle;

beforeAll(async () => {
  state = await makeStateDirectory();
  daemon = await startDaemonProcess(state.path);
});
afterAll(async () => {
  await daemon.terminate();
  await state.remove();
});
beforeEach(async () => {
  web = await daemon.client.machines.launch({ name: 'web', mem_size_mib: 128, image: 'busybox' });
});
afterEach(async () => {
  const { machines, snapshots } = daemon.client;
  for (const { id } of (await machines.list()).machines) await machines.delete(id, { force: true });
  for (const { id } of (await snapshots.list()).snapshots) await snapshots.delete(id);
});

const said = async (machine: MachineHandle, command: string) =>
  (await machine.run(command, { check: true })).stdout.trim();

test('a snapshot of the disk alone boots again, on a larger disk if asked', async () => {
  await said(web, 'echo kept > /root/file; echo lost > /run/file; sync');
  const snapshot = await web.snapshot({ name: 'disk', memory: false });
  expect(snapshot).toMatchObject({ has_memory: false, parent_id: null, machine_name: 'web' });
  const { disk_size_mib: size } = await web.info();
  await web.remove();
  const source = { kind: 'snapshot', snapshot: 'disk' } as const;
  const copy = await daemon.client.machines.launch({ name: 'copy', source, disk_size_mib: size + 1024 });
  expect(await copy.info()).toMatchObject({ boot_kind: 'cold', snapshot_id: snapshot.id });
  expect(await said(copy, 'cat /root/file; cat /run/file || hostname')).toBe('kept\ncopy');
});

test('a machine is set back, also by the next daemon, and then goes on or waits', async () => {
  await said(web, 'mkdir /run/before');
  const { id } = await web.snapshot({ name: 'moment' });
  await said(web, 'rmdir /run/before; mkdir /run/after');
  await daemon.terminate();
  daemon = await startDaemonProcess(state.path);
  const { machines, snapshots } = daemon.client;
  web = await machines.handle('web');
  expect(await snapshots.restore('moment', { start: false })).toMatchObject({ status: 'suspended' });
  await web.start();
  expect(await web.info()).toMatchObject({ boot_kind: 'restored', snapshot_id: id });
  expect(await said(web, 'ls -d /run/before /run/after 2>/dev/null || true')).toBe('/run/before');
  // Again, of a machine that runs.
  await said(web, 'rmdir /run/before');
  expect(await snapshots.restore('moment')).toMatchObject({ status: 'running' });
  expect(await said(web, 'ls -d /run/before')).toBe('/run/before');
});

test('forks go on with the same memory, each as itself, and so does the first', async () => {
  await said(web, 'echo shared > /run/state');
  const forks = await web.fork({ count: 2, name: 'fork' });
  const all = [web, ...forks];
  expect(await Promise.all(all.map((each) => said(each, 'cat /run/state')))).toEqual(all.map(() => 'shared'));
  expect(await Promise.all(all.map((each) => said(each, 'hostname')))).toEqual(['web', 'fork-1', 'fork-2']);
  const random = await Promise.all(all.map((each) => said(each, 'head -c 16 /dev/urandom | od -An -tx1')));
  expect(new Set(random).size).toBe(3);
  const machineIds = await Promise.all(all.map((each) => said(each, 'cat /etc/machine-id')));
  expect(new Set(machineIds).size).toBe(3);
  for (const each of all) {
    const { guest_mac: mac } = await each.info();
    expect(await said(each, 'cat /sys/class/net/eth0/address')).toBe(mac);
  }
  await said(web, 'echo other > /run/state');
  expect(await said(forks[0] as MachineHandle, 'cat /run/state')).toBe('shared');
});

test('of snapshots that are kept by number the newest stay', async () => {
  for (const name of ['one', 'two', 'three']) await web.snapshot({ name, memory: false, keep: 2 });
  const { snapshots } = await daemon.client.snapshots.list({ machine: 'web' });
  expect(snapshots.map(({ name }) => name)).toEqual(['three', 'two']);
});
