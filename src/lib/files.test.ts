/**
 * A file is made durable before it is renamed into place. Otherwise a host crash could leave the name without
 * the content.
 */

import type * as FilePromises from 'node:fs/promises';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { syncTree, writeFileAtomic } from './files.ts';

/** File system calls in order, as `write /path`. */
const calls = vi.hoisted(() => [] as string[]);
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof FilePromises>();
  const { recording } = await import('./testing/recorded-files.ts');
  return recording(real, calls);
});

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'flotilla-files-'));
  calls.length = 0;
});
afterEach(() => rm(dir, { recursive: true, force: true }));

describe('writeFileAtomic', () => {
  it('writes, syncs the file, renames it, syncs the directory', async () => {
    const path = join(dir, 'record');
    await writeFileAtomic(path, 'content');
    const [temporary] = /\.tmp-\w+/.exec(calls[0] ?? '') ?? ['none'];
    const place = join(dir, temporary);
    expect(calls).toEqual([`write ${place}`, `sync ${place}`, `rename ${place} ${path}`, `sync ${dir}`]);
  });
});

describe('syncTree', () => {
  it('syncs a directory’s content before the directory', async () => {
    await mkdir(join(dir, 'a/b'), { recursive: true });
    await writeFile(join(dir, 'a/b/file'), 'x');
    calls.length = 0;
    await syncTree(dir);
    expect(calls).toEqual(['a/b/file', 'a/b', 'a', ''].map((path) => `sync ${join(dir, path)}`));
  });
});
