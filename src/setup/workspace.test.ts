import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CacheLayout } from '../storage/layout.ts';
import { publish, removeLeftovers, requireSpace, withWorkspace } from './workspace.ts';

let root: string;
let cache: CacheLayout;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'flotilla-workspace-'));
  cache = new CacheLayout(root);
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function build(text: string): Promise<void> {
  await withWorkspace(cache, async (work) => {
    const built = join(work, 'result');
    await mkdir(built);
    await writeFile(join(built, 'file'), text);
    await publish(built, join(root, 'results', 'one'));
  });
}

describe('withWorkspace and publish', () => {
  it('replaces the former result by a complete one and leaves nothing beside it', async () => {
    await build('first');
    await build('second');
    expect(await readFile(join(root, 'results/one/file'), 'utf8')).toBe('second');
    expect(await readdir(join(root, 'results'))).toEqual(['one']);
    expect(await readdir(join(root, 'tmp'))).toEqual([]);
  });

  it('keeps the former result when building fails', async () => {
    await build('first');
    const failing = withWorkspace(cache, async (work) => {
      await writeFile(join(work, 'half'), 'half');
      throw new Error('cut off');
    });
    await expect(failing).rejects.toThrow('cut off');
    expect(await readFile(join(root, 'results/one/file'), 'utf8')).toBe('first');
    expect(await readdir(join(root, 'tmp'))).toEqual([]);
  });

  it('removes the leftovers of a killed run', async () => {
    await mkdir(join(root, 'tmp/work-dead/tree'), { recursive: true });
    await removeLeftovers(cache);
    expect(await readdir(join(root, 'tmp'))).toEqual([]);
  });

  it('accepts an empty cache', async () => {
    await expect(removeLeftovers(cache)).resolves.toBeUndefined();
  });
});

describe('requireSpace', () => {
  it('checks the nearest existing directory', async () => {
    await expect(requireSpace(join(root, 'not/yet/there'), 0)).resolves.toBeUndefined();
  });

  it('says how much space is missing and what to do', async () => {
    await expect(requireSpace(root, 2 ** 40)).rejects.toMatchObject({
      code: 'exhausted',
      message: expect.stringMatching(/MiB free, and 1099511627776 MiB are needed/),
      hint: expect.stringContaining('FLOTILLA_CACHE_DIR'),
    });
  });
});
