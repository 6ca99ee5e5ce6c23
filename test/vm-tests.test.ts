/** `make check` and the tests with VMs together are all tests, and every listed file exists. */
import { glob } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { longest } from './longest-first.ts';
import { repository } from './support/host.ts';
import { projects, testFiles, vmTestFiles } from './vm-tests.ts';

async function matching(patterns: readonly string[]): Promise<readonly string[]> {
  const found: string[] = [];
  // Looking through all packages would take seconds.
  const exclude = (path: string) => /(?:^|\/)node_modules$/.test(path);
  for await (const path of glob(patterns, { cwd: repository, exclude })) found.push(path);
  return found.sort();
}

test('every pattern names files', async () => {
  for (const pattern of [...testFiles, ...vmTestFiles, ...longest])
    expect(await matching([pattern]), pattern).not.toEqual([]);
});

test('every test file runs in exactly one project', async () => {
  const files = await Promise.all(
    projects.map(async ({ test: { include, exclude } }) => {
      const excluded = new Set(await matching(exclude));
      return (await matching(include)).filter((path) => !excluded.has(path));
    }),
  );
  expect(files).toHaveLength(projects.length);
  expect(files.flat().sort()).toEqual(await matching(['**/*.test.ts']));
});

test('a test without VMs finds no kernel and no image', async () => {
  const { FLOTILLA_CACHE_DIR: cache = '' } = process.env;
  expect(await matching([`${cache}/**`])).toEqual([]);
  expect(cache).toMatch(/no-cache$/);
});
