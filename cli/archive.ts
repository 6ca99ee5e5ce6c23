/** The bytes of a tar archive to send: a file as it is, or a directory as the local `tar` packs it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, statSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { PassThrough, type Readable } from 'node:stream';
import type { Environment } from './environment.ts';
import { CliError } from './errors.ts';
import { exitCodes } from './exit-codes.ts';

export interface Archive {
  /** To be read once. Throws CliError when what is read fails, before the end, so that half an archive is never whole. */
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Null: nobody knows before the end. */
  readonly length: number | null;
  /** What tar said though it ended well, such as which sockets it left out; known when all has been read. */
  readonly warnings: () => readonly string[];
  /** Ends what still reads; resolves when it is gone. */
  readonly close: () => Promise<void>;
}

const wordsMax = 4096;
/** As many as somebody reads. */
const warningsMax = 20;

/** Throws CliError when there is no such file or directory. */
export function openArchive(path: string, env: Environment): Archive {
  let kind: 'directory' | 'file' | 'other';
  let length = 0;
  try {
    const stat = statSync(path);
    kind = stat.isDirectory() ? 'directory' : stat.isFile() ? 'file' : 'other';
    length = stat.size;
  } catch (error) {
    throw unreadable(path, error);
  }
  if (kind === 'directory') return packed(path, env);
  if (kind === 'file') return wholeFile(path, length);
  const hint = 'give a directory, or a tar archive that is a file';
  throw new CliError(`${path} is neither a directory nor a file`, { hint, exitCode: exitCodes.usage });
}

function wholeFile(path: string, length: number): Archive {
  const stream = createReadStream(path);
  // Whoever reads is told by what is read; whoever has stopped has no use for it.
  stream.on('error', () => undefined);
  async function* read() {
    try {
      yield* stream as AsyncIterable<Buffer>;
    } catch (error) {
      throw unreadable(path, error);
    }
  }
  return {
    bytes: read(),
    length,
    warnings: () => [],
    async close() {
      if (stream.closed) return;
      // The error of a stream that was left half read is none of the caller's.
      const { promise, resolve } = Promise.withResolvers<void>();
      stream.once('close', resolve).destroy();
      await promise;
    },
  };
}

/**
 * Owners by number, as names mean others in the image; nothing that is mounted below the directory; holes are not sent as
 * zeros.
 */
function packed(path: string, env: Environment): Archive {
  // Of the formats, only this one keeps times beyond 2242 and parts of a second.
  const format = ['--format=posix', '--pax-option=delete=atime,delete=ctime'];
  const flags = ['--create', '--sparse', '--numeric-owner', '--one-file-system', '--xattrs', ...format];
  return tarArchive([...flags, `--directory=${path}`, '.'], path, env);
}

/** What `tar` with these arguments writes; `words` name it in errors. */
export function tarArchive(args: readonly string[], words: string, env: Environment): Archive {
  const child = spawn('tar', ['--file=-', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: tarEnvironment(env),
  });
  // Node throws away what nobody has begun to read when a program ends.
  const output = child.stdout.pipe(new PassThrough());
  const said = new TarWords(child.stderr);
  const ended = tarEnded(child);
  // Whoever reads to the end gets to know; whoever does not has no use for it.
  ended.catch(() => undefined);
  async function* read() {
    yield* output as AsyncIterable<Buffer>;
    const outcome = await ended;
    if (outcome === 0) return;
    throw new CliError(`tar could not pack ${words}: ${said.reason(outcome)}`);
  }
  return {
    bytes: read(),
    length: null,
    warnings: () => said.lines,
    async close() {
      child.kill('SIGKILL');
      child.stdout.destroy();
      output.destroy();
      await ended.catch(() => undefined);
    },
  };
}

/** What tar says on stderr. */
export class TarWords {
  /** The first. */
  readonly lines: string[] = [];
  #last = '';

  constructor(stderr: Readable) {
    createInterface({ input: stderr }).on('line', (line) => {
      this.#last = `${this.#last}${line}\n`.slice(-wordsMax);
      if (this.lines.length < warningsMax) this.lines.push(line);
    });
  }

  /** Why it ended so. */
  reason(outcome: number | string): string {
    return this.#last.trim().split('\n').slice(-3).join('; ') || `it ended with ${outcome}`;
  }
}

/** Options of the user's own are for archives of the user's own. */
export function tarEnvironment({ TAR_OPTIONS: _, ...env }: Environment): Environment {
  return { ...env, LC_ALL: 'C' };
}

/** The exit code or the signal's name. Rejects when there is no tar. */
export async function tarEnded(child: ChildProcess): Promise<number | string> {
  try {
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
    return code ?? signal ?? 'nothing';
  } catch (error) {
    throw new CliError(`cannot run tar: ${(error as NodeJS.ErrnoException).code}`, {
      hint: 'install tar, or give an archive instead of a directory',
    });
  }
}

function unreadable(path: string, error: unknown): CliError {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== 'ENOENT') return new CliError(`cannot read ${path}: ${code}`);
  return new CliError(`there is no ${path} on this machine`, { exitCode: exitCodes.usage });
}
