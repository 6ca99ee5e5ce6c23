import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { StateLayout } from '../layout.ts';
import { SavedMemoryFiles } from './saved-memory.ts';

const never = new AbortController().signal;
const saved = { incarnation: 'i1', operationId: 'o1', savedAt: '2026-01-01T00:00:00.000Z' };

let root: string;
let memories: SavedMemoryFiles;
const files = () => readdir(join(root, 'disks', 'm1'));
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'flotilla-memory-'));
  await mkdir(join(root, 'disks', 'm1'), { recursive: true });
  memories = new SavedMemoryFiles(new StateLayout(root));
});
afterEach(() => rm(root, { recursive: true }));

async function save(content: string): Promise<void> {
  await writeFile(join(await memories.begin('m1', never), 'state'), content);
  await memories.publish('m1', saved, never);
}

test('is there once it is published, and replaces an earlier one', async () => {
  expect(await memories.find('m1', never)).toBeNull();
  const directory = await memories.begin('m1', never);
  expect((await stat(directory)).mode & 0o777).toBe(0o700);
  expect(await memories.find('m1', never)).toBeNull();
  await memories.publish('m1', saved, never);
  expect(await memories.find('m1', never)).toEqual(saved);
  await save('second');
  expect(await readdir(memories.locate('m1'))).toEqual(['saved.json', 'state']);
});

test('what an interrupted attempt has left does not come into the next one', async () => {
  await writeFile(join(await memories.begin('m1', never), 'half'), '');
  await save('whole');
  expect(await readdir(memories.locate('m1'))).toEqual(['saved.json', 'state']);
});

test('nothing of it is left when it is discarded, also twice', async () => {
  await save('content');
  await memories.begin('m1', never);
  for (let time = 0; time < 2; time++) await memories.discard('m1', never);
  expect(await memories.find('m1', never)).toBeNull();
  expect(await files()).toEqual([]);
});

test('a damaged record is an error', async () => {
  await save('content');
  await writeFile(join(memories.locate('m1'), 'saved.json'), '{');
  await expect(memories.find('m1', never)).rejects.toMatchObject({ code: 'conflict' });
});
