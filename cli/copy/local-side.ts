/** Sources and destinations of `cp` on this host. */
import type { Stats } from 'node:fs';
import { lstat, readlink, realpath, stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { CliError } from '../errors.ts';
import { type DestinationFacts, meansContent, meansDirectory, type SourceFacts } from './places.ts';

export interface LocalSource extends SourceFacts {
  /** A directory, or what `entry` is in. */
  readonly directory: string;
  /** Null: the directory itself. */
  readonly entry: string | null;
  /** What is read of a regular file, holes left out; null where nobody knows before the end. */
  readonly bytes: number | null;
}

const blockBytes = 512;

/** Throws CliError when there is no such file. */
export async function localSource(path: string, followsLink: boolean): Promise<LocalSource> {
  const isFollowed = followsLink || meansDirectory(path);
  const found = await look(path, isFollowed);
  if (found === null) throw new CliError(`there is no ${path} on this host`);
  const isDirectory = found.isDirectory();
  if (meansDirectory(path) && !isDirectory) throw new CliError(`${path} is not a directory`);
  if (found.isSocket()) throw new CliError(`${path} is a socket, which cannot be copied`);
  const real = isFollowed ? await realpath(path) : resolve(path);
  return {
    // The copy of a link that was followed is called like the link.
    ...{ words: path, name: basename(resolve(path)), isDirectory, isContent: isWhole(path) },
    ...(isDirectory ? { directory: real, entry: null } : { directory: dirname(real), entry: basename(real) }),
    bytes: found.isFile() ? Math.min(found.size, found.blocks * blockBytes) : null,
  };
}

/** The root directory has no name that its copy could have. */
function isWhole(path: string): boolean {
  return meansContent(path) || resolve(path) === '/';
}

export async function localDestination(path: string): Promise<DestinationFacts> {
  const found = await look(path, true);
  const real = resolve(await linkTarget(path));
  const directory = dirname(real);
  const parent = found === null ? await look(directory, true) : null;
  return {
    ...{ words: path, path: resolve(path), directory, name: basename(real) },
    kind: found === null ? 'absent' : found.isDirectory() ? 'directory' : 'other',
    hasParent: found !== null || parent?.isDirectory() === true,
    meansDirectory: meansDirectory(path),
  };
}

/** What a link points to, whether that is there or not. */
async function linkTarget(path: string): Promise<string> {
  const found = await look(path, false);
  if (!found?.isSymbolicLink()) return path;
  try {
    return await realpath(path);
  } catch (error) {
    if (!isAbsent(error)) throw unusable(path, error);
    return resolve(await realpath(dirname(path)), await readlink(path));
  }
}

/** Null when there is no such file. */
async function look(path: string, follow: boolean): Promise<Stats | null> {
  try {
    return await (follow ? stat(path) : lstat(path));
  } catch (error) {
    if (isAbsent(error)) return null;
    // A file with a slash behind it is for the caller to refuse.
    if (codeOf(error) === 'ENOTDIR' && path.endsWith('/')) return look(path.replace(/\/+$/, ''), follow);
    if (codeOf(error) === 'ENOTDIR') return null;
    throw unusable(path, error);
  }
}

function isAbsent(error: unknown): boolean {
  return codeOf(error) === 'ENOENT';
}

export function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

export function unusable(path: string, error: unknown): CliError {
  return new CliError(`cannot use ${path}: ${codeOf(error) ?? String(error)}`);
}
