import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { removeTree } from './remove-tree.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'remove-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

it('removes a tree that is still being written to, and accepts a missing path', async () => {
  const tree = join(directory, 'tree');
  await mkdir(tree);
  let isOver = false;
  let written = 0;
  // Writes until the directory is gone, or often enough to force several attempts.
  const writing = (async () => {
    while (!isOver && written < 2_000) {
      const isThere = await writeFile(join(tree, `file-${written}`), 'x').then(
        () => true,
        () => false,
      );
      if (!isThere) return;
      written += 1;
    }
  })();
  await removeTree(tree);
  isOver = true;
  await writing;
  await removeTree(tree);
  expect(await readdir(directory)).toEqual([]);
  expect(written).toBeGreaterThan(0);
});
