import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { StateLayout } from '../layout.ts';
import { StoredSnapshots } from './files.ts';

const never = new AbortController().signal;

let root: string;
let layout: StateLayout;
let snapshots: StoredSnapshots;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'flotilla-snapshots-'));
  layout = new StateLayout(root);
  snapshots = new StoredSnapshots(layout);
});
afterEach(() => rm(root, { recursive: true }));

async function fill(id: string): Promise<void> {
  const { disk, memory } = await snapshots.begin(id, never);
  await writeFile(disk, Buffer.alloc(3_000_000, 'disk'));
  await writeFile(join(memory, 'state'), 'the state');
  await writeFile(join(memory, 'manifest.json'), '{}');
}

async function flip(path: string): Promise<void> {
  const bytes = await readFile(path);
  const at = bytes.length >> 1;
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  await writeFile(path, bytes);
}

test('a snapshot is there when it is published, and only for the daemon', async () => {
  await fill('s1');
  await expect(snapshots.verify('s1', never)).rejects.toMatchObject({ code: 'not_found' });
  const content = { sizeBytes: 3_000_000 + 9 + 2, hasMemory: true };
  expect(await snapshots.publish('s1', never)).toEqual(content);
  // As after a crash.
  expect(await snapshots.publish('s1', never)).toEqual(content);
  expect(await new StoredSnapshots(layout).verify('s1', never)).toEqual(content);
  expect((await stat(layout.snapshots)).mode & 0o777).toBe(0o700);
  expect(await readFile(join(snapshots.locate('s1').memory, 'state'), 'utf8')).toBe('the state');
});

test('one without memory has none', async () => {
  const { disk } = await snapshots.begin('s1', never);
  await writeFile(disk, 'disk');
  expect(await snapshots.publish('s1', never)).toEqual({ sizeBytes: 4, hasMemory: false });
});

test.each(['disk.qcow2', 'memory/state', 'memory/manifest.json', 'snapshot.json'])(
  'one changed byte of %s is noticed, also after it was verified',
  async (name) => {
    await fill('s1');
    await snapshots.publish('s1', never);
    await snapshots.verify('s1', never);
    const path = join(layout.snapshot('s1'), name);
    await flip(path);
    await expect(snapshots.verify('s1', never)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining(`the content of ${name} has changed`),
    });
    await flip(path);
    await snapshots.verify('s1', never);
  },
);

test('a file that is shorter or missing is noticed', async () => {
  await fill('s1');
  await snapshots.publish('s1', never);
  await truncate(snapshots.locate('s1').disk, 2_999_999);
  await expect(snapshots.verify('s1', never)).rejects.toMatchObject({ code: 'conflict' });
  await rm(snapshots.locate('s1').disk);
  await expect(snapshots.verify('s1', never)).rejects.toThrow('missing');
});

test('what an attempt has left is replaced, listed and removed', async () => {
  await fill('s1');
  const { memory } = await snapshots.begin('s1', never);
  expect(await readdir(memory)).toEqual([]);
  await fill('s2');
  await snapshots.publish('s2', never);
  expect([...(await snapshots.list(never))].sort()).toEqual(['s1', 's2']);
  for (const id of ['s1', 's2', 's3']) await snapshots.remove(id, never);
  expect(await readdir(layout.snapshots)).toEqual([]);
});

test('an aborted call ends with the reason', async () => {
  await fill('s1');
  const reason = new Error('enough');
  await expect(snapshots.publish('s1', AbortSignal.abort(reason))).rejects.toBe(reason);
});
