/** A suspended real guest: it takes nothing but space on the disk, survives the daemon, and goes on where it was. */
import { readdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type DaemonProcess, makeStateDirectory, startDaemonProcess } from '../support/daemon.ts';
import { processesNaming } from '../support/host.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

let state: Awaited<ReturnType<typeof makeStateDirectory>>;
let daemon: DaemonProcess;
let id: string;

beforeAll(async () => {
  state = await makeStateDirectory();
  daemon = await startDaemonProcess(state.path);
  const machine = { name: 'web', vcpu_count: 1, mem_size_mib: 128, image: 'busybox' };
  ({ id } = await daemon.client.machines.create(machine));
  await daemon.client.machines.start('web');
});
afterAll(async () => {
  await daemon.client.machines.delete('web', { force: true });
  await daemon.terminate();
  await state.remove();
});

const shell = async (script: string) =>
  (await daemon.client.machines.exec('web', { command: ['sh', '-c', script], timeout: 60 })).stdout;
const filesOf = () => readdirSync(join(state.path, 'disks', id));
const vmms = async () => (await processesNaming(`${state.path}/run/`)).length;

test('goes on with its programs, its commands and the right time, also when the daemon was killed meanwhile', async () => {
  const { client } = daemon;
  // In memory alone.
  await shell(
    'mkdir /run/kept; hostname renamed; sleep 100000 </dev/null >/dev/null 2>&1 & echo $! > /run/kept/pid',
  );
  const identity = 'cut -d" " -f22 /proc/$(cat /run/kept/pid)/stat; cat /proc/sys/kernel/random/boot_id';
  const script = 'n=0; while [ ! -e /run/kept/stop ]; do n=$((n+1)); sleep 0.2; done; echo whole';
  const command = await client.execs.start('web', { command: ['sh', '-c', script] });
  const before = await shell(identity);

  expect(await client.machines.suspend('web')).toMatchObject({
    ...{ status: 'suspended', pid: null, boot_kind: null, failure: null },
    suspended_at: expect.stringMatching(/^20/),
  });
  expect(await vmms()).toBe(0);
  await expect(client.machines.suspend('web')).rejects.toMatchObject({ status: 400 });
  expect(await client.machines.suspend('web', { idempotent: true })).toMatchObject({ status: 'suspended' });
  await expect(client.machines.stop('web')).rejects.toMatchObject({ status: 400 });
  await expect(client.machines.update('web', { mem_size_mib: 256 })).rejects.toMatchObject({ status: 400 });
  await daemon.kill();
  daemon = await startDaemonProcess(state.path);

  expect(await daemon.client.machines.start('web')).toMatchObject({
    ...{ status: 'running', boot_kind: 'restored', suspended_at: null },
  });
  expect(await shell(identity)).toBe(before);
  expect(await shell('hostname')).toBe('renamed\n');
  const nowSeconds = Number(await shell('date +%s'));
  expect(Math.abs(nowSeconds - Date.now() / 1000)).toBeLessThan(3);
  expect(filesOf()).not.toContain('memory');
  await shell('touch /run/kept/stop');
  const events = await Array.fromAsync(daemon.client.execs.output('web', command.id, { follow: true }));
  const stdout = events.flatMap((event) => (event.type === 'stdout' ? [event.data] : []));
  expect(Buffer.concat(stdout).toString()).toBe('whole\n');
});

test('a paused machine is suspended as well', async () => {
  const { client } = daemon;
  await client.machines.pause('web');
  expect(await client.machines.suspend('web')).toMatchObject({ status: 'suspended' });
  expect(await client.machines.start('web')).toMatchObject({ status: 'running', boot_kind: 'restored' });
  expect(await shell('hostname')).toBe('renamed\n');
});

test('is what the end of a lifetime can be, and the next one begins with the restore', async () => {
  const { client } = daemon;
  await client.machines.update('web', { lifetime_seconds: 1, on_expire: 'suspend' });
  expect(await client.machines.wait('web', { status: 'suspended' })).toMatchObject({
    ...{ expires_at: null, lifetime_remaining_seconds: null, lifetime_seconds: 1 },
  });
  const given = await client.machines.update('web', { lifetime_seconds: 3600 });
  expect(given).toMatchObject({ expires_at: null, lifetime_remaining_seconds: 3600 });
  expect(await client.machines.start('web')).toMatchObject({
    ...{ boot_kind: 'restored', expires_at: expect.any(String), lifetime_remaining_seconds: null },
  });
  expect(await shell('hostname')).toBe('renamed\n');
  await client.machines.update('web', { lifetime_seconds: null, on_expire: 'delete' });
});

test('memory with one changed byte is refused, and the machine stays suspended; it boots after a stop with force', async () => {
  const { client } = daemon;
  await shell('echo written > /root/file; sync');
  await client.machines.suspend('web');
  const file = join(state.path, 'disks', id, 'memory', 'state');
  const bytes = await readFile(file);
  const at = bytes.length >> 1;
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  await writeFile(file, bytes);
  await expect(client.machines.start('web')).rejects.toMatchObject({
    message: expect.stringContaining('damaged'),
  });
  expect(await client.machines.get('web')).toMatchObject({ status: 'suspended', pid: null });
  expect(await vmms()).toBe(0);
  // Nothing of it was used up.
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  await writeFile(file, bytes);
  expect(await client.machines.start('web')).toMatchObject({ boot_kind: 'restored' });

  await client.machines.suspend('web');
  expect(await client.machines.stop('web', { force: true })).toMatchObject({ status: 'stopped' });
  expect(filesOf()).not.toContain('memory');
  expect(await client.machines.start('web')).toMatchObject({ boot_kind: 'cold' });
  expect(await shell('cat /root/file')).toBe('written\n');
});
