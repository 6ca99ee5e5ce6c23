/**
 * Results in the cache are whole or absent: each is built in a directory of its own below `<cache>/tmp/` and renamed into
 * place. What an interrupted run left there is removed by the next, which holds the set-up lock.
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

/** Gives `build` an empty directory on the cache's file system and removes what is left of it afterwards. */
export async function withWorkspace<T>(cache: CacheLayout, build: (dir: string) => Promise<T>): Promise<T> {
  await mkdir(workRoot(cache), { recursive: true, mode: 0o755 });
  const dir = await mkdtemp(join(workRoot(cache), 'work-'));
  try {
    // apt downloads as its own user, which must get through.
    await chmod(dir, 0o755);
    return await build(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Removes what interrupted runs left. Only the holder of the set-up lock may call this. */
export async function removeLeftovers(cache: CacheLayout): Promise<void> {
  for (const name of await readdir(workRoot(cache)).catch(() => [])) {
    await rm(join(workRoot(cache), name), { recursive: true, force: true });
  }
}

/** Puts the directory `built` in the place of `target`, inside the workspace's life; a former one is removed with it. */
export async function publish(built: string, target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true, mode: 0o755 });
  // Else a crash of the host could leave the new name on files without their content.
  await syncTree(built);
  const former = `${built}.former`;
  await rename(target, former).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  await rename(built, target);
  await syncDirectory(dirname(target));
  await rm(former, { recursive: true, force: true });
}

/** Raises `exhausted` when the file system of `dir` (or of its nearest parent) has less than `neededMib` free. */
export async function requireSpace(dir: string, neededMib: number): Promise<void> {
  const existing = await nearestExisting(dir);
  const facts = await statfs(existing);
  const freeMib = Math.floor((facts.bavail * facts.bsize) / mib);
  if (freeMib >= neededMib) return;
  throw new AppError('exhausted', `${dir} has ${freeMib} MiB free and set-up needs ${neededMib} MiB`, {
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
