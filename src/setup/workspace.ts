/**
 * Makes results in the cache atomic: each is built in its own directory below `<cache>/tmp/` and renamed into
 * place. The next run, which holds the set-up lock, removes the leftovers of an interrupted one.
 */
import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '../core/errors.ts';
import { syncDirectory, syncTree } from '../lib/files.ts';
import type { CacheLayout } from '../storage/layout.ts';

const mib = 1 << 20;

function workRoot(cache: CacheLayout): string {
  return join(cache.root, 'tmp');
}

/** Gives `build` an empty directory on the cache's file system and removes its remains afterwards. */
export async function withWorkspace<T>(cache: CacheLayout, build: (dir: string) => Promise<T>): Promise<T> {
  await mkdir(workRoot(cache), { recursive: true, mode: 0o755 });
  const dir = await mkdtemp(join(workRoot(cache), 'work-'));
  try {
    // apt downloads as its own user, which must be able to pass through.
    await chmod(dir, 0o755);
    return await build(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Removes leftovers of interrupted runs. Only the holder of the set-up lock may call this. */
export async function removeLeftovers(cache: CacheLayout): Promise<void> {
  for (const name of await readdir(workRoot(cache)).catch(() => [])) {
    await rm(join(workRoot(cache), name), { recursive: true, force: true });
  }
}

/**
 * Replaces `target` by the directory `built`, while the workspace exists; the former one is removed with it.
 */
export async function publish(built: string, target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true, mode: 0o755 });
  // Otherwise a host crash could leave the new name with incomplete files.
  await syncTree(built);
  const former = `${built}.former`;
  await rename(target, former).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  await rename(built, target);
  await syncDirectory(dirname(target));
  await rm(former, { recursive: true, force: true });
}

/**
 * Raises `exhausted` when the file system of `dir` (or its nearest parent) has less than `neededMib` free.
 */
export async function requireSpace(dir: string, neededMib: number): Promise<void> {
  const existing = await nearestExisting(dir);
  const facts = await statfs(existing);
  const freeMib = Math.floor((facts.bavail * facts.bsize) / mib);
  if (freeMib >= neededMib) return;
  throw new AppError('exhausted', `${dir} has ${freeMib} MiB free, and ${neededMib} MiB are needed`, {
    hint: 'Free some disk space, or set FLOTILLA_CACHE_DIR to a directory on a larger disk, and run it again.',
    details: { dir, freeMib, neededMib },
  });
}

async function nearestExisting(dir: string): Promise<string> {
  const isThere = await stat(dir).then(
    () => true,
    () => false,
  );
  const parent = dirname(dir);
  return isThere || parent === dir ? dir : nearestExisting(parent);
}
