/**
 * Images that earlier versions made: images keep the layout and the record of the day they were made on, and
 * their machines must still start and fill their disks.
 */
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { run } from '../../src/lib/process.ts';
import { readConfig } from '../../src/main/config.ts';
import { CacheLayout, StateLayout } from '../../src/storage/layout.ts';
import { type DaemonProcess, makeStateDirectory, startDaemonProcess } from '../support/daemon.ts';

vi.setConfig({ testTimeout: 100_000, hookTimeout: 100_000 });

const rootMib = 32;
const diskMib = 4000;
/** Names and features for `mkfs.ext4 -O`: what the kernel grows after mounting, and what the agent grows. */
const layouts = {
  'reserved-descriptors': 'resize_inode',
  'no-checksums': '^metadata_csum,^resize_inode',
  'narrow-numbers': '^64bit,^resize_inode',
  'own-seed': 'metadata_csum_seed,^resize_inode',
  'block-maps': '^64bit,^metadata_csum,^flex_bg,^extent,resize_inode',
};
const limits = { signal: new AbortController().signal, timeoutMs: 30_000 };

let directory: Awaited<ReturnType<typeof makeStateDirectory>>;
let daemon: DaemonProcess;
let work: string;

beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'layouts-'));
  await mkdir(join(work, 'tree'));
  const builtIn = join(new CacheLayout(readConfig(process.env).cacheDir).image('busybox'), 'root.ext4');
  await run('debugfs', ['-R', `rdump / ${join(work, 'tree')}`, builtIn], limits);
  directory = await makeStateDirectory();
  // Makes the directories of the store.
  await (await startDaemonProcess(directory.path)).terminate();
  for (const [name, features] of Object.entries(layouts)) await place(name, features);
  daemon = await startDaemonProcess(directory.path);
});
afterAll(async () => {
  for (const { id } of (await daemon.client.machines.list()).machines)
    await daemon.client.machines.delete(id, { force: true });
  await daemon.terminate();
  await directory.remove();
  await rm(work, { recursive: true });
});

/** Puts an image into the store, with only the fields that the first records had. */
async function place(name: string, features: string): Promise<void> {
  const made = join(work, `${name}.ext4`);
  const options = ['-q', '-F', '-O', features, '-d', join(work, 'tree'), made, `${rootMib}M`];
  await run('mkfs.ext4', options, limits);
  const digest = createHash('sha256')
    .update(await readFile(made))
    .digest('hex');
  const layout = new StateLayout(directory.path);
  await chmod(made, 0o444);
  await rename(made, join(layout.blobs, digest));
  const record = {
    ...{ name, digest: `sha256:${digest}`, rootMib, memoryMibMin: 96 },
    createdAt: '2026-01-01T00:00:00.000Z',
  };
  await writeFile(layout.imageName(name), JSON.stringify(record));
}

test.each(Object.keys(layouts))(
  '%s: its machine starts, and the file system fills the disk',
  async (image) => {
    const { machines } = daemon.client;
    await machines.create({ name: image, image, vcpu_count: 1, mem_size_mib: 96, disk_size_mib: diskMib });
    expect(await machines.start(image)).toMatchObject({ status: 'running' });
    const look =
      "df -m / | awk 'END { print $2 }'; head -c 8388608 /dev/zero > /root/filled && sync && stat -c %s /root/filled; dmesg | grep -E 'EXT4-fs (error|warning)|kernel BUG|Oops'";
    const { stdout } = await machines.exec(image, { command: ['sh', '-c', look], timeout: 60 });
    const [sizeMib, filledBytes, ...faults] = stdout.trimEnd().split('\n');
    expect(Number(sizeMib)).toBeGreaterThan(diskMib * 0.9);
    expect(filledBytes).toBe('8388608');
    expect(faults).toEqual([]);
    await machines.delete(image, { force: true });
  },
);
