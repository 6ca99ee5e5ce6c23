/** `make check` and the tests with VMs together are all tests, and every listed file exists. */
import { glob } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { repository } from './support/host.ts';
import { projects, testFiles, vmTestFiles } from './vm-tests.ts';

async function matching(patterns: readonly string[]): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const path of glob(patterns, { cwd: repository })) found.push(path);
  return found.filter((path) => !path.includes('node_modules')).sort();
}

test('every pattern names files', async () => {
  for (const pattern of [...testFiles, ...vmTestFiles])
    expect(await matching([pattern]), pattern).not.toEqual([]);
});

test('every test file runs in exactly one of the two projects', async () => {
  const files = await Promise.all(
    projects.map(async ({ test: { include, exclude } }) => {
      const excluded = new Set(await matching(exclude));
      return (await matching(include)).filter((path) => !excluded.has(path));
    }),
  );
  expect(files).toHaveLength(2);
  expect(files.flat().sort()).toEqual(await matching(['**/*.test.ts']));
});

test('a test without VMs finds no kernel and no image', async () => {
  const { FLOTILLA_CACHE_DIR: cache = '' } = process.env;
  expect(await matching([`${cache}/**`])).toEqual([]);
  expect(cache).toMatch(/no-cache$/);
});
