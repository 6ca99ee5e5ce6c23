import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bringInLaunchShim, findLaunchShim } from './go-programs.ts';
import { CacheLayout, StateLayout } from './layout.ts';

let root: string;
let cache: CacheLayout;
let state: StateLayout;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'flotilla-shim-'));
  cache = new CacheLayout(join(root, 'cache'));
  state = new StateLayout(join(root, 'state'));
});
afterEach(() => rm(root, { recursive: true }));

async function make(version: string, text: string): Promise<void> {
  await mkdir(dirname(cache.launchShim), { recursive: true });
  await writeFile(cache.launchShim, text);
  await writeFile(`${cache.launchShim}.json`, JSON.stringify({ version }));
}

test('is absent before set-up has made one', async () => {
  expect(await findLaunchShim(cache)).toBeNull();
  expect(await bringInLaunchShim(cache, state)).toBeNull();
});

test('is a copy that nobody else may change, and outlives the cache', async () => {
  await make('a'.repeat(12), 'one');
  expect(await findLaunchShim(cache)).toBe(cache.launchShim);
  const path = String(await bringInLaunchShim(cache, state));
  expect(await readFile(path, 'utf8')).toBe('one');
  expect((await stat(path)).mode & 0o777).toBe(0o700);
  await rm(cache.root, { recursive: true });
  expect(await bringInLaunchShim(cache, state)).toBe(path);
});

test('is replaced only by another version', async () => {
  await make('a'.repeat(12), 'one');
  const first = String(await bringInLaunchShim(cache, state));
  const { ino } = await stat(first);
  expect(await bringInLaunchShim(cache, state)).toBe(first);
  expect((await stat(first)).ino).toBe(ino);
  await make('b'.repeat(12), 'two');
  const second = String(await bringInLaunchShim(cache, state));
  expect(await readFile(second, 'utf8')).toBe('two');
  expect(await readdir(state.bin)).toHaveLength(1);
});

test('accepts no version that would lead to another path', async () => {
  await make('../../../etc/x', 'one');
  expect(await bringInLaunchShim(cache, state)).toBeNull();
});
