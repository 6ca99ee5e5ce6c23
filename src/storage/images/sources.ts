/**
 * Opens the source of an image as a tar stream: an upload, an archive on this host, or a directory of this
 * host.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { realpath, stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { AppError } from '../../core/errors.ts';
import type { ImageSource } from '../../core/ports/images.ts';
import { fileChunks } from '../../lib/filter.ts';
import type { CacheLayout, StateLayout } from '../layout.ts';
import type { Staging } from './staging.ts';
import { toolEnvironment } from './tools.ts';

export interface Places {
  readonly state: StateLayout;
  readonly cache: CacheLayout;
}

const stderrBytesMax = 65_536;

/**
 * The source's archive. Raises `invalid` for a path that does not exist, is not absolute, is of the wrong
 * kind, or contains this host's own state.
 */
export async function openSource(
  source: ImageSource,
  { upload }: Pick<Staging, 'upload'>,
  places: Places,
  signal: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  if (source.kind === 'upload') return fileChunks(upload, signal);
  const path = await resolved(source.path, source.kind);
  await checkPlace(path, places);
  const facts = await stat(path);
  if (source.kind === 'directory') {
    if (!facts.isDirectory())
      throw new AppError('invalid', `${source.path} is not a directory`, {
        hint: 'Give an archive as `tarball`.',
      });
    return directoryStream(path, signal);
  }
  if (!facts.isFile())
    throw new AppError('invalid', `${source.path} is not a file`, {
      hint: 'Give a directory as `directory`.',
    });
  return fileChunks(path, signal);
}

async function resolved(path: string, kind: string): Promise<string> {
  if (!isAbsolute(path) || path.includes('\0')) {
    throw new AppError('invalid', `the ${kind} must be an absolute path on this host`, {
      hint: 'Files of another machine are uploaded: flotilla images import NAME PATH.',
    });
  }
  try {
    return await realpath(path);
  } catch (error) {
    throw new AppError('invalid', `${path} cannot be opened`, {
      cause: error,
      hint: 'The path is one of the daemon’s host. Files of another machine are uploaded: flotilla images import NAME PATH.',
    });
  }
}

/** The state directory holds keys and tenants' disks, and would hold the copy of itself. */
async function checkPlace(path: string, { state, cache }: Places): Promise<void> {
  const [stateRoot, cacheRoot] = await Promise.all([state.root, cache.root].map(realpathOrSame));
  const refuse = (what: string) =>
    new AppError('invalid', `${path} ${what}`, {
      hint: 'Copy the root file system to a directory of its own.',
    });
  if (path === '/') throw refuse('is the root of this host');
  if (stateRoot !== undefined && (isWithin(stateRoot, path) || isWithin(path, stateRoot))) {
    throw refuse('is, holds or lies in the state directory');
  }
  if (cacheRoot !== undefined && isWithin(cacheRoot, path)) throw refuse('is or holds the cache directory');
}

function realpathOrSame(path: string): Promise<string> {
  return realpath(path).catch(() => path);
}

/** Whether `path` is `parent` or lies below it. */
function isWithin(path: string, parent: string): boolean {
  return path === parent || path.startsWith(`${parent}/`);
}

/**
 * The directory as a tar stream, limited to its own file system. tar may read everything and change nothing.
 */
async function* directoryStream(path: string, signal: AbortSignal): AsyncIterable<Uint8Array> {
  const args = [
    ...[
      '--pdeathsig',
      'KILL',
      '--no-new-privs',
      '--inh-caps=-all',
      '--bounding-set=-all,+dac_read_search',
      '--',
      'tar',
      '--create',
      // Keeps fractions of seconds, and numbers of any size.
      '--format=posix',
      '--pax-option=delete=atime,delete=ctime',
      '--file=-',
      '--one-file-system',
      '--sparse',
    ],
    ...[
      '--numeric-owner',
      '--xattrs',
      '--xattrs-include=*',
      '--quoting-style=escape',
      `--directory=${path}`,
      '.',
    ],
  ];
  const child = spawn('setpriv', args, { env: toolEnvironment, stdio: ['ignore', 'pipe', 'pipe'], signal });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk.toString()).slice(-stderrBytesMax);
  });
  const ended = once(child, 'close');
  // It may be abandoned before it is awaited below.
  ended.catch(() => undefined);
  try {
    yield* child.stdout;
    const [exitCode] = (await ended) as [number | null];
    // 1: a file changed while it was read, which is normal in a directory in use.
    const isRead = exitCode === 0 || exitCode === 1;
    if (!isRead) throw new AppError('invalid', `the directory cannot be read: ${lastWords(stderr)}`);
    requireNothingLeftOut(stderr);
  } finally {
    child.kill('SIGKILL');
  }
}

/** tar's messages about files that the stream lacks, or contains with other content. */
const leftOut =
  /^tar: (.+): (socket ignored|door ignored|Unknown file type; file ignored|File shrank by .+)$/;

function requireNothingLeftOut(stderr: string): void {
  for (const line of stderr.split('\n')) {
    const [, path, words = ''] = leftOut.exec(line) ?? [];
    if (path === undefined) continue;
    const why = words.startsWith('File shrank') ? 'was cut while it was read' : 'is no file of an image';
    const what = words === 'socket ignored' ? 'is a socket, which is no file of an image' : why;
    throw new AppError('invalid', `${path} in the directory ${what}`, {
      hint: 'Stop what uses the directory, and remove its sockets: find DIRECTORY -type s -delete.',
    });
  }
}

function lastWords(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '' && !closing.test(line));
  return (lines.at(-1) ?? 'tar ended without a word').replace(/^tar: /, '').slice(0, 400);
}

/** tar's final messages after the actual error. */
const closing = /^tar: (Error is not recoverable|Exiting with failure status)/;
