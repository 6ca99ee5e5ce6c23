/**
 * Where the copy of a machine's tree arrives: in a directory of its own beside its destination, into which it is then
 * renamed. So nobody sees half a file under a name of the user's, and no name in the archive, nor a link in the
 * destination, decides where something is written. Names are bytes, as they need not be UTF-8.
 */
import { chmod, lstat, mkdtemp, readdir, rename, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { CliError } from '../errors.ts';
import { codeOf, unusable } from './local-side.ts';
import type { Target } from './places.ts';

/** What the archive's first entry is called. */
export const arrivalName = 'copy';

const modeBits = 0o7777;
const setIds = 0o6000;
const ownerMayAll = 0o700;
const ownerMayWrite = 0o200;

export class Arrival implements AsyncDisposable {
  readonly directory: string;
  readonly #target: Target;

  private constructor(directory: string, target: Target) {
    this.directory = directory;
    this.#target = target;
  }

  static async open(target: Target): Promise<Arrival> {
    try {
      return new Arrival(await mkdtemp(join(target.directory, '.flotilla-cp-')), target);
    } catch (error) {
      throw unusable(target.directory, error);
    }
  }

  /**
   * Takes away what a guest may not give to a user of this host: files of devices, which would be the host's, and set-id bits.
   * Gives the number of devices.
   */
  async disarm(): Promise<number> {
    return disarm(Buffer.from(this.directory));
  }

  /** Puts what has arrived to its place, over what is there. Throws CliError when that is of another kind. */
  async settle(signal: AbortSignal): Promise<void> {
    const names = await readdir(this.directory);
    if (names.length !== 1 || names[0] !== arrivalName)
      throw new CliError('the machine sent an archive with other names than asked for; nothing was copied');
    const { directory, name } = this.#target;
    const from = Buffer.from(join(this.directory, arrivalName));
    const to = Buffer.from(name === '.' ? directory : join(directory, name));
    if (name === '.' && !(await lstat(from)).isDirectory())
      throw new CliError('the machine sent a file instead of a directory; nothing was copied');
    await place(from, to, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nobody but root may empty a directory that is read-only.
    if (process.getuid?.() !== 0) await makeWritable(Buffer.from(this.directory));
    await rm(this.directory, { recursive: true, force: true });
  }
}

async function place(from: Buffer, to: Buffer, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const arrived = await lstat(from);
  const there = await lstat(to).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return null;
    throw unusable(`${to}`, error);
  });
  if (there?.isDirectory() && !arrived.isDirectory())
    throw new CliError(`${to} is a directory, and no directory in the machine`);
  if (there !== null && !there.isDirectory() && arrived.isDirectory())
    throw new CliError(`${to} is no directory, and a directory in the machine`);
  if (there?.isDirectory()) {
    for (const name of await readdir(from, { encoding: 'buffer' }))
      await place(below(from, name), below(to, name), signal);
    return;
  }
  try {
    await move(from, to, arrived.isDirectory() ? arrived.mode : null);
  } catch (error) {
    if (codeOf(error) !== 'EXDEV') throw unusable(`${to}`, error);
    throw new CliError(`${to} is on another file system than the rest of the destination`, {
      hint: 'copy what belongs there with a command of its own',
    });
  }
}

/** `mode` of a directory, whose own entry `..` changes, for which it must be writable. */
async function move(from: Buffer, to: Buffer, mode: number | null): Promise<void> {
  const isReadOnly = mode !== null && (mode & ownerMayWrite) === 0 && process.getuid?.() !== 0;
  if (isReadOnly) await chmod(from, mode | ownerMayWrite);
  await rename(from, to);
  if (isReadOnly) await chmod(to, mode);
}

async function disarm(directory: Buffer): Promise<number> {
  let removed = 0;
  for (const name of await readdir(directory, { encoding: 'buffer' })) {
    const path = below(directory, name);
    const facts = await lstat(path);
    if (facts.isBlockDevice() || facts.isCharacterDevice()) {
      await unlink(path);
      removed++;
      continue;
    }
    if (facts.isSymbolicLink()) continue;
    const mode = facts.mode & modeBits;
    const isClosed = facts.isDirectory() && (mode & ownerMayAll) !== ownerMayAll;
    if (isClosed) await chmod(path, ownerMayAll);
    if (facts.isDirectory()) removed += await disarm(path);
    if (isClosed || (mode & setIds) !== 0) await chmod(path, mode & ~setIds);
  }
  return removed;
}

async function makeWritable(directory: Buffer): Promise<void> {
  await chmod(directory, ownerMayAll);
  for (const entry of await readdir(directory, { encoding: 'buffer', withFileTypes: true }))
    if (entry.isDirectory()) await makeWritable(below(directory, entry.name));
}

function below(directory: Buffer, name: Buffer): Buffer {
  return Buffer.concat([directory, Buffer.from('/'), name]);
}
