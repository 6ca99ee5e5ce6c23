/** Snapshots and forks of a real guest while its programs run and write: memory and disk are of one moment. */
import { readdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type DaemonProcess, makeStateDirectory, startDaemonProcess } from '../support/daemon.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

let state: Awaited<ReturnType<typeof makeStateDirectory>>;
let daemon: DaemonProcess;

beforeAll(async () => {
  state = await makeStateDirectory();
  daemon = await startDaemonProcess(state.path);
  const machine = { name: 'web', vcpu_count: 1, mem_size_mib: 128, image: 'busybox' };
  await daemon.client.machines.create(machine);
  await daemon.client.machines.start('web');
  await shell('web', 'mkdir -p /run/kept /etc/ssh; echo first > /root/file; echo first > /run/kept/file');
  // Each number is in memory and, a moment later, on the disk.
  const script =
    'n=0; while [ ! -e /run/kept/stop ]; do n=$((n+1)); echo $n > /run/kept/n; echo $n > /root/n; sync; done';
  await daemon.client.execs.start('web', { command: ['sh', '-c', script] });
});
afterAll(async () => {
  for (const { id } of (await daemon.client.machines.list()).machines)
    await daemon.client.machines.delete(id, { force: true });
  for (const { id } of (await daemon.client.snapshots.list()).snapshots)
    await daemon.client.snapshots.delete(id);
  expect(readdirSync(join(state.path, 'disks'))).toEqual([]);
  expect(readdirSync(join(state.path, 'snapshots'))).toEqual([]);
  await daemon.terminate();
  await state.remove();
});

async function shell(machine: string, script: string): Promise<string> {
  const request = { command: ['sh', '-c', script], timeout: 60 };
  return (await daemon.client.machines.exec(machine, request)).stdout;
}

const numbers = async (machine: string) =>
  (await shell(machine, 'cat /run/kept/n /root/n')).split('\n').slice(0, 2).map(Number);

test('a machine made from a snapshot goes on where the other was, and neither sees what the other writes', async () => {
  const { client } = daemon;
  const [before = 0] = await numbers('web');
  const snapshot = await client.snapshots.create('web', { name: 'first' });
  expect(snapshot).toMatchObject({ status: 'ready', has_memory: true, machine_name: 'web' });
  const [{ pid }, [after = 0]] = await Promise.all([client.machines.get('web'), numbers('web')]);
  expect(after).toBeGreaterThan(before);
  expect(pid).not.toBeNull();

  const source = { kind: 'snapshot' as const, snapshot: 'first' };
  expect(await client.machines.create({ name: 'child', source })).toMatchObject({ status: 'suspended' });
  expect(await client.machines.start('child')).toMatchObject({ status: 'running', boot_kind: 'restored' });
  expect(await shell('child', 'hostname; cat /root/file /run/kept/file')).toBe('child\nfirst\nfirst\n');
  // Its programs go on, and its disk is of the same moment as its memory.
  const [inMemory = 0, onDisk = 0] = await numbers('child');
  expect(inMemory).toBeGreaterThanOrEqual(before);
  expect([0, 1, 2]).toContain(inMemory - onDisk);
  await shell('child', 'echo other > /root/file; sync');
  expect(await shell('web', 'cat /root/file')).toBe('first\n');
  const names = 'cat /etc/machine-id; date +%s';
  const [ours, theirs] = [await shell('web', names), await shell('child', names)];
  expect(theirs.split('\n')[0]).not.toBe(ours.split('\n')[0]);
  expect(Math.abs(Number(theirs.split('\n')[1]) - Date.now() / 1000)).toBeLessThan(5);
  // The file system is whole.
  await client.machines.stop('child');
  await client.machines.start('child');
  expect(await shell('child', 'cat /root/file; dmesg | grep -ci "ext4.*error\\|corrupt"')).toBe('other\n0\n');
  await client.machines.delete('child', { force: true });
});

test('the machine is set back, also after the daemon was killed', async () => {
  const { client } = daemon;
  await shell('web', 'echo second > /root/file; echo second > /run/kept/file; sync');
  const [before = 0] = await numbers('web');
  await daemon.kill();
  daemon = await startDaemonProcess(state.path);
  expect(client).not.toBe(daemon.client);
  expect(await daemon.client.snapshots.restore('first')).toMatchObject({
    ...{ name: 'web', status: 'running', boot_kind: 'restored' },
  });
  expect(await shell('web', 'hostname; cat /root/file /run/kept/file')).toBe('web\nfirst\nfirst\n');
  expect((await numbers('web'))[0]).toBeLessThan(before);
});

test('forks differ in names, clock and randomness, and share what is in memory', async () => {
  const { machines } = await daemon.client.machines.fork('web', { count: 8, name: 'fork' });
  expect(machines.map(({ name, error }) => [name, error])).toEqual(
    Array.from({ length: 8 }, (_, index) => [`fork-${index + 1}`, null]),
  );
  const random =
    'head -c 16 /dev/urandom | md5sum; cat /proc/sys/kernel/random/uuid; cat /etc/machine-id; hostname';
  const seen: string[] = [];
  for (const { name } of machines) {
    expect(await shell(name, 'cat /run/kept/file')).toBe('first\n');
    seen.push(...(await shell(name, random)).trim().split('\n'));
    expect(Math.abs(Number(await shell(name, 'date +%s')) - Date.now() / 1000)).toBeLessThan(5);
  }
  expect(new Set(seen).size).toBe(machines.length * 4);
  for (const { name } of machines) await daemon.client.machines.delete(name, { force: true });
  expect((await daemon.client.snapshots.list()).snapshots.map(({ name }) => name)).toEqual(['first']);
  expect(readdirSync(join(state.path, 'snapshots'))).toHaveLength(1);
});

test.each(['disk.qcow2', 'memory/state', 'memory/manifest.json', 'snapshot.json'])(
  'one changed byte of %s: refused in words, and the machine is untouched',
  async (file) => {
    const { client } = daemon;
    const { id } = await client.snapshots.get('first');
    const path = join(state.path, 'snapshots', id, file);
    const flip = async () => {
      const bytes = await readFile(path);
      bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1);
      await writeFile(path, bytes);
    };
    const { pid } = await client.machines.get('web');
    await flip();
    const refused = { message: expect.stringContaining('damaged') };
    await expect(client.snapshots.restore('first')).rejects.toMatchObject(refused);
    const source = { kind: 'snapshot' as const, snapshot: 'first' };
    await expect(client.machines.create({ name: 'child', source })).rejects.toMatchObject(refused);
    expect(await client.machines.get('web')).toMatchObject({ status: 'running', pid });
    await expect(client.machines.get('child')).rejects.toMatchObject({ status: 404 });
    await flip();
  },
);

test('of a stopped machine there is the disk, which boots', async () => {
  const { client } = daemon;
  await shell('web', 'touch /run/kept/stop; echo third > /root/file; sync');
  await client.machines.stop('web');
  expect(await client.snapshots.create('web', { name: 'disk' })).toMatchObject({ has_memory: false });
  const source = { kind: 'snapshot' as const, snapshot: 'disk' };
  await client.machines.create({ name: 'child', source, mem_size_mib: 160 });
  expect(await client.machines.start('child')).toMatchObject({ boot_kind: 'cold' });
  expect(await shell('child', 'cat /root/file; hostname')).toBe('third\nchild\n');
});
