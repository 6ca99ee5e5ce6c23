/**
 * Unpacks a tar stream from a stranger into an empty directory. GNU tar does it, as root and with nothing between: it
 * keeps names below the directory (strips leading slashes, refuses `..`), and makes links that lead out of it only after
 * everything else, so that nothing is written through them. Device nodes become what they are; nobody but root can reach
 * them here.
 */
import { chmod, mkdir } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { AppError } from '../../core/errors.ts';
import { ProcessError, run } from '../../lib/process.ts';
import { tarStream } from './archive.ts';
import { toolEnvironment } from './tools.ts';

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
}

/** tar keeps what it must do at the end in memory, and a header may claim any length. */
const memoryBytesMax = 2 * 2 ** 30;
/** What the disk loses by an entry beside its content: its inode, its name, and the rest of its last block. */
const entryBytes = 8192;

/** What tar says after what was wrong. */
const closing =
  /^tar: (Skipping to next header|Error is not recoverable: exiting now|Exiting with failure status due to previous errors)$/;
/** Two blocks of zeros end an archive; tar itself takes one that is cut off between two files. */
const endBytes = 1024;

/** Makes `tree` and fills it. Raises `invalid` for what is no whole archive or is over a limit. */
export async function unpack(
  chunks: AsyncIterable<Uint8Array>,
  tree: string,
  limits: UnpackLimits,
  signal: AbortSignal,
): Promise<Unpacked> {
  await mkdir(tree, { mode: 0o755 });
  const over = new AbortController();
  let entries = 0;
  let bytes = 0;
  let isCut = false;
  let last: Buffer = Buffer.alloc(0);
  const counted = async function* () {
    for await (const chunk of tarStream(chunks)) {
      bytes += chunk.length;
      if (bytes + entries * entryBytes > limits.bytesMax) throw limits.tooLarge;
      last = Buffer.concat([last, chunk.subarray(-endBytes)]).subarray(-endBytes);
      yield chunk;
    }
    isCut = last.some((byte) => byte !== 0);
  };
  const args = [
    ...[`--as=${memoryBytesMax}`, `--fsize=${limits.bytesMax}`, '--core=0', '--'],
    ...['tar', '--extract', '--file=-', `--directory=${tree}`],
    ...['--numeric-owner', '--same-owner', '--same-permissions', '--xattrs', '--xattrs-include=*'],
    ...['--delay-directory-restore', '--verbose', '--quoting-style=escape', '--warning=no-timestamp'],
  ];
  try {
    await run('prlimit', args, {
      stdin: Readable.from(counted(), { objectMode: false }),
      env: toolEnvironment,
      signal: AbortSignal.any([signal, over.signal]),
      timeoutMs: limits.timeoutMs,
      isBoundToUs: true,
      outputBytesMax: 65_536,
      onLine: () => {
        entries += 1;
        if (entries > limits.entriesMax) over.abort(limits.tooMany);
        else if (bytes + entries * entryBytes > limits.bytesMax) over.abort(limits.tooLarge);
      },
    });
  } catch (error) {
    throw explainedTar(error, limits);
  }
  if (isCut) throw new AppError('invalid', 'the archive is cut off');
  // The archive may say otherwise of its root, and then no user of the guest gets in.
  await chmod(tree, 0o755);
  return { bytes, entries };
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
  const lines = stderr.split('\n').filter((line) => line.trim() !== '' && !closing.test(line));
  return (lines.at(-1) ?? 'tar ended without a word').replace(/^tar: /, '').slice(0, 400);
}
