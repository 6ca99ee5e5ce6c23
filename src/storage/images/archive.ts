/**
 * Turns an upload into a tar stream: recognises its compression by the first bytes and decompresses it in the
 * jail.
 */
import { AppError } from '../../core/errors.ts';
import { filtered } from '../../lib/filter.ts';
import { ProcessError } from '../../lib/process.ts';
import { runTool } from './tools.ts';

type Chunks = AsyncIterable<Uint8Array>;

interface Unpacker {
  readonly args: readonly string[];
  readonly threadsMax: number;
}

/** They read all concatenated parts, and report anything else that follows. */
const unpackers = {
  gzip: { args: ['-d', '-c'], threadsMax: 1 },
  // Even so it uses threads for reading and writing.
  zstd: { args: ['-d', '-c', '-q', '--single-thread'], threadsMax: 4 },
  xz: { args: ['-d', '-c', '--threads=1', '--memlimit-decompress=1GiB'], threadsMax: 1 },
  bzip2: { args: ['-d', '-c'], threadsMax: 1 },
} as const satisfies Readonly<Record<string, Unpacker>>;

type Packing = keyof typeof unpackers;

const packings: readonly { readonly name: Packing; readonly magic: string }[] = [
  { name: 'gzip', magic: '1f8b' },
  { name: 'zstd', magic: '28b52ffd' },
  { name: 'xz', magic: 'fd377a585a00' },
  { name: 'bzip2', magic: '425a68' },
];
/** A zstd file may start with a skippable frame: 184d2a50 to 184d2a5f, lowest byte first. */
const skippableFrame = /^5[0-9a-f]2a4d18/;

/** Other formats, recognised by their first bytes so that the error can name them. */
const others: readonly { readonly name: string; readonly magic: string }[] = [
  { name: 'a zip archive', magic: '504b0304' },
  { name: 'a 7-Zip archive', magic: '377abcaf271c' },
  { name: 'a RAR archive', magic: '526172211a07' },
  { name: 'packed with lz4', magic: '04224d18' },
  { name: 'packed with lzip', magic: '4c5a4950' },
  { name: 'packed with lzma', magic: '5d0000' },
  { name: 'packed with compress', magic: '1f9d' },
  { name: 'a cpio archive', magic: '3037303730' },
  { name: 'a Debian package', magic: '213c61726368' },
  { name: 'a squashfs image', magic: '68737173' },
  { name: 'a qcow2 disk', magic: '514649fb' },
];
const magicBytesMax = 6;

export interface UnpackPlace {
  /** The jail's directory. */
  readonly cwd: string;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

/** The tar stream inside `chunks`. Raises `invalid` for an unsupported format or damaged data. */
export async function* tarStream(chunks: Chunks, place: UnpackPlace): Chunks {
  const { head, whole } = await peek(chunks);
  if (head.length === 0)
    throw new AppError('invalid', 'the archive is empty', {
      hint: 'Send a tar archive of a root directory.',
    });
  const packing = packingOf(head);
  if (packing === null) yield* whole;
  else yield* through(whole, packing, place);
}

/** Passes `chunks` on; raises `invalid` before the first if their beginning shows an unsupported format. */
export async function* knownFormat(chunks: Chunks): Chunks {
  const { head, whole } = await peek(chunks);
  packingOf(head);
  yield* whole;
}

/** Null for a plain tar stream, or unknown data. */
function packingOf(head: Buffer): Packing | null {
  const text = head.toString('hex');
  if (skippableFrame.test(text)) return 'zstd';
  const packing = packings.find(({ magic }) => text.startsWith(magic));
  if (packing !== undefined) return packing.name;
  const other = others.find(({ magic }) => text.startsWith(magic));
  if (other === undefined) return null;
  throw new AppError('invalid', `the archive is ${other.name}, which is not supported`, {
    hint: 'Send a tar archive: plain, or packed with gzip, zstd, xz or bzip2.',
  });
}

async function* through(chunks: Chunks, name: Packing, place: UnpackPlace): Chunks {
  const { args, threadsMax } = unpackers[name];
  // It only writes to us.
  const options = { ...place, threadsMax, fileBytesMax: 0 };
  try {
    yield* filtered(chunks, place.signal, async (streams) => {
      const { stderr } = await runTool(name, args, { ...options, ...streams });
      if (hasMoreWords.test(stderr)) throw hasMore(name);
    });
  } catch (error) {
    throw explained(error, name);
  }
}

/** bzip2 exits with 0 in this case. */
const hasMoreWords = /trailing garbage/;

function hasMore(name: string): AppError {
  return new AppError('invalid', `the archive has data after its ${name} data`, {
    hint: 'Send only the archive, and all of it.',
  });
}

function explained(error: unknown, name: string): unknown {
  if (!(error instanceof ProcessError) || error.isTimeout) return error;
  if (error.isMissing) {
    return new AppError('unsupported', `${error.command} is not installed`, {
      cause: error,
      hint: './flotilla setup installs it.',
    });
  }
  if (hasMoreWords.test(error.stderr)) return hasMore(name);
  const [words = ''] = error.stderr.split('\n').filter((line) => line.trim() !== '');
  return new AppError('invalid', `the archive’s ${name} data is damaged: ${words.trim().slice(0, 400)}`, {
    cause: error,
    hint: 'Pack the archive again, and send all of it.',
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
