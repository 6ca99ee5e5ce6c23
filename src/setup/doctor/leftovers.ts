/** Finds what interrupted work has left: incomplete files under reserved names. */
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { CacheLayout, StateLayout } from '../../storage/layout.ts';
import { type Finding, ok, warn } from './finding.ts';

/** Younger ones may belong to running work; no import and no set-up step takes longer. */
const ageMsMin = 60 * 60_000;

export interface Leftover {
  readonly path: string;
  /** Milliseconds since the last change. */
  readonly ageMs: number;
  readonly place: 'state' | 'cache';
}

/**
 * Finds names starting with `.import-` or `.tmp-` where the program makes them, and everything in the cache's
 * workspace.
 */
export async function findLeftovers(
  state: StateLayout,
  cache: CacheLayout,
  now: number,
): Promise<readonly Leftover[]> {
  const below = async (dir: string) => (await namesIn(dir)).map((name) => join(dir, name));
  const dirs = [
    ...[state.root, state.images, state.blobs, state.imageNames, state.boot],
    ...(await below(state.tenantImages)),
    ...(await below(state.boot)),
    ...(await below(state.disks)),
    ...(await below(state.run)),
  ];
  const found: Leftover[] = [];
  const note = async (path: string, place: Leftover['place']) => {
    const facts = await lstat(path).catch(() => null);
    if (facts) found.push({ path, ageMs: now - facts.mtimeMs, place });
  };
  for (const dir of dirs) {
    for (const name of await namesIn(dir)) {
      if (/^\.(import|tmp)-/.test(name)) await note(join(dir, name), 'state');
    }
  }
  for (const path of await below(join(cache.root, 'tmp'))) await note(path, 'cache');
  return found;
}

/** Judges leftovers. Pure. */
export function checkLeftovers(leftovers: readonly Leftover[], isDaemonRunning: boolean): readonly Finding[] {
  // Set-up may be running on the cache at any time, the daemon on the state directory only while it runs.
  const dead = leftovers.filter(
    ({ place, ageMs }) => (place === 'state' && !isDaemonRunning) || ageMs > ageMsMin,
  );
  if (dead.length === 0) return [ok('leftovers', 'none found')];
  return dead.map(({ path, place }) =>
    place === 'cache'
      ? warn('leftovers', `${path} is of an interrupted set-up`, './flotilla setup removes it.')
      : warn('leftovers', `${path} was never finished and nothing uses it`, `rm -r ${path}`),
  );
}

async function namesIn(dir: string): Promise<readonly string[]> {
  return readdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return [];
    throw error;
  });
}
