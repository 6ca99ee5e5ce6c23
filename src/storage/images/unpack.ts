/**
 * Unpacks a tar stream from a stranger into an empty directory. GNU tar does it, in the jail: it keeps names below the
 * directory (strips leading slashes, refuses `..`), and makes links that lead out of it only after everything else, so
 * that nothing is written through them. Files get the owners that the archive names, as the jail counts users.
 */
import { constants } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { AppError } from '../../core/errors.ts';
import { giveToJail } from '../../lib/jail.ts';
import { ProcessError } from '../../lib/process.ts';
import { tarStream } from './archive.ts';
import { type Device, deviceRefusal, devicesMax, parseDevice } from './devices.ts';
import type { Staging } from './staging.ts';
import { runTool } from './tools.ts';

export interface UnpackLimits {
  /** Of the tar stream, unpacked, and `entryBytes` for each entry; beyond it `tooLarge` is raised. */
  readonly bytesMax: number;
  readonly tooLarge: AppError;
  /** Beyond it `tooMany` is raised. */
  readonly entriesMax: number;
  readonly tooMany: AppError;
  readonly timeoutMs: number;
}

export interface Unpacked {
  readonly bytes: number;
  readonly entries: number;
  /** Not unpacked: they go into the file system. */
  readonly devices: readonly Device[];
}

/** What the disk loses by an entry beside its content: its inode, its name, and the rest of its last block. */
const entryBytes = 8192;

/** What tar says after what was wrong. */
const closing =
  /^tar: (Skipping to next header|Error is not recoverable: exiting now|Exiting with failure status due to previous errors)$/;
/** Two blocks of zeros end an archive; tar itself takes one that is cut off between two files. */
const endBytes = 1024;

/** What tar says beside its failures. */
const warning = /^tar: (Removing leading |Ignoring unknown extended header|Record size = )/;

/** Makes the tree in the jail's directory and fills it. Raises `invalid` for what is no whole archive or is over a limit. */
export async function unpack(
  chunks: AsyncIterable<Uint8Array>,
  { work, treeName }: Pick<Staging, 'work' | 'treeName'>,
  limits: UnpackLimits,
  signal: AbortSignal,
): Promise<Unpacked> {
  const tree = join(work, treeName);
  await mkdir(tree, { mode: 0o755 });
  await giveToJail(tree);
  const { timeoutMs, bytesMax } = limits;
  const count = new Count(limits);
  const counted = count.passing(tarStream(chunks, { cwd: work, timeoutMs, signal: count.whole(signal) }));
  try {
    await runTool('tar', tarArguments(treeName), {
      cwd: work,
      capabilities: ['chown', 'dac_override', 'fowner', 'fsetid', 'setfcap'],
      fileBytesMax: bytesMax,
      stdin: Readable.from(counted, { objectMode: false }),
      signal: count.whole(signal),
      timeoutMs,
      outputBytesMax: 65_536,
      onLine: (text) => count.addEntry(text),
      onErrorLine: (text) => count.addComplaint(text),
    });
  } catch (error) {
    if (!isOnlyDevices(error, count)) throw explainedTar(error, limits);
  }
  if (count.isCut) throw new AppError('invalid', 'the archive is cut off');
  await openToAll(tree);
  return { bytes: count.bytes, entries: count.entries, devices: count.devices };
}

function tarArguments(treeName: string): readonly string[] {
  return [
    ...['--extract', '--file=-', `--directory=${treeName}`, '--numeric-owner', '--same-owner'],
    ...['--same-permissions', '--xattrs', '--xattrs-include=*', '--delay-directory-restore'],
    ...['--verbose', '--verbose', '--quoting-style=escape', '--warning=no-timestamp'],
  ];
}

/** What has been unpacked so far, and whether that is too much. */
class Count {
  readonly #limits: UnpackLimits;
  readonly #over = new AbortController();
  readonly #devices: Device[] = [];
  bytes = 0;
  entries = 0;
  isCut = false;
  /** tar said something beside that it can make no device nodes. */
  hasFailed = false;

  constructor(limits: UnpackLimits) {
    this.#limits = limits;
  }

  get devices(): readonly Device[] {
    return this.#devices;
  }

  /** Aborts with what was too much, too. */
  whole(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, this.#over.signal]);
  }

  async *passing(tar: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    let last: Buffer = Buffer.alloc(0);
    for await (const chunk of tar) {
      this.bytes += chunk.length;
      if (this.#isTooLarge()) throw this.#limits.tooLarge;
      last = Buffer.concat([last, chunk.subarray(-endBytes)]).subarray(-endBytes);
      yield chunk;
    }
    this.isCut = last.some((byte) => byte !== 0);
  }

  addEntry(text: string): void {
    this.entries += 1;
    if (this.entries > this.#limits.entriesMax) this.#over.abort(this.#limits.tooMany);
    else if (this.#isTooLarge()) this.#over.abort(this.#limits.tooLarge);
    try {
      const device = parseDevice(text);
      if (device) this.#devices.push(device);
    } catch (error) {
      this.#over.abort(error);
    }
    if (this.#devices.length > devicesMax) {
      this.#over.abort(new AppError('invalid', `the archive has more than ${devicesMax} device nodes`));
    }
  }

  addComplaint(text: string): void {
    if (!deviceRefusal.test(text) && !warning.test(text) && !closing.test(text)) this.hasFailed = true;
  }

  #isTooLarge(): boolean {
    return this.bytes + this.entries * entryBytes > this.#limits.bytesMax;
  }
}

/** tar exits with 2 after errors that it went on from. */
function isOnlyDevices(error: unknown, count: Count): boolean {
  return (
    error instanceof ProcessError && error.exitCode === 2 && count.devices.length > 0 && !count.hasFailed
  );
}

/** The archive may say otherwise of its root, and then no user of the guest gets in. */
async function openToAll(tree: string): Promise<void> {
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
  const root = await open(tree, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    await root.chmod(0o755);
  } finally {
    await root.close();
  }
}

function explainedTar(error: unknown, { tooLarge }: UnpackLimits): unknown {
  if (!(error instanceof ProcessError)) return error;
  if (error.isMissing || error.isTimeout || saysNoSpace(error)) return error;
  // One file with holes alone.
  if (error.signal === 'SIGXFSZ') return tooLarge;
  return new AppError('invalid', `the archive cannot be unpacked: ${lastWords(error.stderr)}`, {
    cause: error,
  });
}

function saysNoSpace({ stderr }: ProcessError): boolean {
  return /No space left|Disk quota exceeded/.test(stderr);
}

/** The last line that says what was wrong. */
export function lastWords(stderr: string): string {
  const lines = stderr
    .split('\n')
    .filter((line) => line.trim() !== '' && !closing.test(line) && !deviceRefusal.test(line));
  return (lines.at(-1) ?? 'tar ended without a word').replace(/^tar: /, '').slice(0, 400);
}
