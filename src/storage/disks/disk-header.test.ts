/** Headers that a hostile VMM may have written, and disks that are copies of them. */
import { mkdir, mkdtemp, open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { run } from '../../lib/process.ts';
import { StateLayout } from '../layout.ts';
import { readDiskHeader } from './disk-header.ts';
import { QcowDisks } from './qcow-disks.ts';

const never = new AbortController().signal;
const imageDigest = `sha256:${'a'.repeat(64)}`;

let root: string;
let layout: StateLayout;
let disks: QcowDisks;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'flotilla-header-'));
  layout = new StateLayout(root);
  disks = new QcowDisks({ layout, uidBase: null });
  await mkdir(layout.blobs, { recursive: true });
  await writeFile(layout.blob(imageDigest), '');
  await truncate(layout.blob(imageDigest), 1 << 20);
  await disks.prepare(request('m1'), never);
});
afterEach(() => rm(root, { recursive: true }));

const request = (machineId: string) => ({ machineId, slot: 1, imageDigest, diskMib: 8 });
const write = (path: string, what: string) =>
  run('qemu-io', ['-f', 'qcow2', '-c', what, path], { timeoutMs: 10_000 });
const compare = (a: string, b: string) => run('qemu-img', ['compare', '-q', a, b], { timeoutMs: 10_000 });

async function patch(path: string, at: number, bytes: Buffer): Promise<void> {
  const file = await open(path, 'r+');
  await file.write(bytes, 0, bytes.length, at);
  await file.close();
}

test('an empty disk has the size and the base of the machine’s', async () => {
  const path = join(root, 'empty');
  await write(layout.disk('m1'), 'write -q -P 5 1M 2M');
  await disks.makeEmpty({ machineId: 'm1', slot: 1, imageDigest }, path, never);
  expect(await readDiskHeader(path)).toEqual({ sizeBytes: 8 << 20, backing: layout.blob(imageDigest) });
  expect((await stat(path)).size).toBeLessThan(1 << 20);
  expect((await readdir(layout.diskDir('m1'))).sort()).toEqual(['root.qcow2']);
});

test('a disk becomes a copy of another machine’s, whole or not at all', async () => {
  const content = join(root, 'copy');
  await write(layout.disk('m1'), 'write -q -P 5 1M 2M');
  await disks.copyOut('m1', content, never);
  await disks.prepare({ ...request('m2'), content }, never);
  await compare(layout.disk('m1'), layout.disk('m2'));
  await write(layout.disk('m2'), 'write -q -P 6 1M 2M');
  await disks.replace({ ...request('m2'), content }, never);
  await compare(layout.disk('m1'), layout.disk('m2'));
  const missing = join(root, 'missing');
  await expect(disks.replace({ ...request('m2'), content: missing }, never)).rejects.toThrow();
  await compare(layout.disk('m1'), layout.disk('m2'));
});

test('a copy with another base, a data file or no header is refused, and leaves nothing', async () => {
  const content = join(root, 'copy');
  await disks.copyOut('m1', content, never);
  const foreign = Buffer.from('/etc/shadow'.padEnd(layout.blob(imageDigest).length, '/'));
  const backingAt = (await readFile(content)).indexOf(layout.blob(imageDigest));
  await patch(content, backingAt, foreign);
  await expect(disks.prepare({ ...request('m2'), content }, never)).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('another base'),
  });
  await disks.copyOut('m1', content, never);
  // The feature `external data file`.
  await patch(content, 79, Buffer.from([0b100]));
  await expect(disks.prepare({ ...request('m2'), content }, never)).rejects.toMatchObject({
    code: 'conflict',
  });
  await writeFile(content, 'nothing of the kind');
  await expect(disks.replace({ ...request('m1'), content }, never)).rejects.toMatchObject({
    code: 'conflict',
  });
  expect(await readDiskHeader(layout.disk('m1'))).toMatchObject({ sizeBytes: 8 << 20 });
  expect(await readdir(layout.disks)).toEqual(['m1']);
});
