/** The image builder for import tests: set-up's, or else built from the checkout. */
import { mkdir, stat, symlink, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { run } from '../../lib/process.ts';
import { CacheLayout } from '../layout.ts';

const sources = join(import.meta.dirname, '../../../image-builder');
/** Enough for a cold compiler cache. */
const buildMs = 5 * 60_000;

/** The program's path. Tests without VMs have an empty cache and build it there, once per test file. */
export async function testImageBuilder(): Promise<string> {
  const fallback = process.getuid?.() === 0 ? '/var/cache/flotilla' : join(homedir(), '.cache', 'flotilla');
  const path = new CacheLayout(process.env.FLOTILLA_CACHE_DIR ?? fallback).imageBuilder;
  const isThere = await stat(path).then(
    () => true,
    () => false,
  );
  if (isThere) return path;
  const env = { ...process.env, CGO_ENABLED: '0', GOTOOLCHAIN: 'local', GOWORK: 'off' };
  await mkdir(dirname(path), { recursive: true });
  await run('go', ['build', '-buildvcs=false', '-o', path, '.'], { cwd: sources, env, timeoutMs: buildMs });
  await writeFile(`${path}.json`, JSON.stringify({ version: '0'.repeat(12) }));
  return path;
}

/** Puts it into a test's cache. */
export async function offerImageBuilder(cache: CacheLayout): Promise<void> {
  await mkdir(cache.root, { recursive: true });
  await symlink(dirname(await testImageBuilder()), dirname(cache.imageBuilder));
}
