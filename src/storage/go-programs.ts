/**
 * The Go programs that the daemon runs: its own copies of those that set-up made, so that the cache may
 * change or disappear.
 */
import { chmod, copyFile, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ensureDirectory, hasErrorCode, syncDirectory } from '../lib/files.ts';
import { shortId } from '../lib/ids.ts';
import type { CacheLayout, StateLayout } from './layout.ts';

const hashPattern = /^[0-9a-f]{12,64}$/;

/**
 * Copies the cache's launch shim if it differs from the present one; returns its path, or null when there is
 * none.
 */
export function bringInLaunchShim(cache: CacheLayout, state: StateLayout): Promise<string | null> {
  return bringIn(cache.launchShim, state);
}

/** The same for the image builder. */
export function bringInImageBuilder(cache: CacheLayout, state: StateLayout): Promise<string | null> {
  return bringIn(cache.imageBuilder, state);
}

/** The same for the SFTP server of guests. */
export function bringInGuestSftp(cache: CacheLayout, state: StateLayout): Promise<string | null> {
  return bringIn(cache.guestSftp, state);
}

async function bringIn(made: string, state: StateLayout): Promise<string | null> {
  const prefix = `${basename(made)}-`;
  const there = (await readdir(state.bin).catch(() => [])).filter((name) => name.startsWith(prefix));
  const version = await readVersion(`${made}.json`);
  const newest = there[0];
  if (version === null) return newest === undefined ? null : join(state.bin, newest);
  const path = join(state.bin, `${prefix}${version}`);
  if (there.includes(basename(path))) return path;
  await ensureDirectory(state.bin, 0o711);
  const temporary = join(state.bin, `.tmp-${shortId()}`);
  try {
    await copyFile(made, temporary);
    await chmod(temporary, 0o700);
    const handle = await open(temporary, 'r');
    await handle.sync().finally(() => handle.close());
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    if (hasErrorCode(error, 'ENOENT')) return newest === undefined ? null : join(state.bin, newest);
    throw error;
  }
  // A running program keeps its file open.
  for (const name of there) await rm(join(state.bin, name), { force: true });
  await syncDirectory(dirname(path));
  return path;
}

/** The one in the cache; null when set-up has not made it. */
export async function findLaunchShim(cache: CacheLayout): Promise<string | null> {
  return (await readVersion(`${cache.launchShim}.json`)) === null ? null : cache.launchShim;
}

async function readVersion(record: string): Promise<string | null> {
  try {
    const { version } = JSON.parse(await readFile(record, 'utf8')) as { readonly version?: unknown };
    return typeof version === 'string' && hashPattern.test(version) ? version : null;
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT') || error instanceof SyntaxError) return null;
    throw error;
  }
}
