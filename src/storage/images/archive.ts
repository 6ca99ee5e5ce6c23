/** A tar stream out of what a caller sent: told by its first bytes, and unpacked in the jail. */
import { AppError } from '../../core/errors.ts';
import { filtered } from '../../lib/filter.ts';
import { ProcessError } from '../../lib/process.ts';
import { runTool } from './tools.ts';

type Chunks = AsyncIterable<Uint8Array>;

interface Unpacker {
  readonly command: string;
  readonly args: readonly string[];
  readonly threadsMax: number;
  /** Exit code of a program that has unpacked everything and warns of what comes after it. */
  readonly warningCode: number | null;
}

const formats = [
  { name: 'gzip', magic: '1f8b' },
  { name: 'zstd', magic: '28b52ffd' },
  { name: 'xz', magic: 'fd377a585a00' },
  { name: 'bzip2', magic: '425a68' },
] as const;
const magicBytesMax = 6;

const unpackers: Readonly<Record<'gzip' | 'zstd', Unpacker>> = {
  gzip: { command: 'gzip', args: ['-d', '-c', '-q'], threadsMax: 1, warningCode: 2 },
  // Even so it reads and writes in threads of their own.
  zstd: { command: 'zstd', args: ['-d', '-c', '-q', '--single-thread'], threadsMax: 4, warningCode: null },
};

export interface UnpackPlace {
  /** The jail's directory. */
  readonly cwd: string;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

/** The tar stream inside `chunks`. Raises `invalid` for a format that is not read or is damaged. */
export async function* tarStream(chunks: Chunks, place: UnpackPlace): Chunks {
  const { head, whole } = await peek(chunks);
  if (head.length === 0) throw new AppError('invalid', 'the archive is empty');
  const format = formatOf(head);
  if (format === null) yield* whole;
  else yield* through(whole, format, place);
}

/** Passes `chunks` on; raises `invalid` before the first when their beginning shows a format that is not read. */
export async function* knownFormat(chunks: Chunks): Chunks {
  const { head, whole } = await peek(chunks);
  formatOf(head);
  yield* whole;
}

/** Null for a plain tar stream, or noise. */
function formatOf(head: Buffer): 'gzip' | 'zstd' | null {
  const format = formats.find(({ magic }) => head.toString('hex', 0, magic.length / 2) === magic);
  if (format === undefined) return null;
  if (format.name === 'gzip' || format.name === 'zstd') return format.name;
  throw new AppError('invalid', `archives packed with ${format.name} are not read`, {
    hint: 'Send it plain, or packed with gzip or zstd.',
  });
}

async function* through(chunks: Chunks, name: 'gzip' | 'zstd', place: UnpackPlace): Chunks {
  const { command, args, threadsMax, warningCode } = unpackers[name];
  // It writes to us only.
  const options = { ...place, threadsMax, fileBytesMax: 0 };
  try {
    yield* filtered(chunks, place.signal, (streams) =>
      runTool(command, args, { ...options, ...streams }).catch((error: unknown) => {
        if (!(error instanceof ProcessError) || error.exitCode !== warningCode) throw error;
      }),
    );
  } catch (error) {
    throw explained(error, name);
  }
}

function explained(error: unknown, name: string): unknown {
  if (!(error instanceof ProcessError) || error.isTimeout) return error;
  if (error.isMissing) {
    return new AppError('unsupported', `${error.command} is not installed`, {
      cause: error,
      hint: './flotilla setup installs it.',
    });
  }
  const words = error.stderr.trim().split('\n').at(-1) ?? '';
  return new AppError('invalid', `the archive’s ${name} data is damaged: ${words.slice(0, 400)}`, {
    cause: error,
  });
}

async function peek(chunks: Chunks): Promise<{ readonly head: Buffer; readonly whole: Chunks }> {
  const iterator = chunks[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  while (head.length < magicBytesMax) {
    const { value, done } = await iterator.next();
    if (done) break;
    head = Buffer.concat([head, value]);
  }
  return { head, whole: continued(head, iterator) };
}

async function* continued(head: Buffer, iterator: AsyncIterator<Uint8Array>): Chunks {
  try {
    yield head;
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
  } finally {
    await iterator.return?.();
  }
}
