/** A tar stream out of what a caller sent: told by its first bytes, unpacked, and counted. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { AppError } from '../../core/errors.ts';

type Chunks = AsyncIterable<Uint8Array>;

const formats = [
  { name: 'gzip', magic: '1f8b' },
  { name: 'zstd', magic: '28b52ffd' },
  { name: 'xz', magic: 'fd377a585a00' },
  { name: 'bzip2', magic: '425a68' },
] as const;
const magicBytesMax = 6;

/** The tar stream inside `chunks`. Raises `invalid` for a format that is not read or is damaged. */
export async function* tarStream(chunks: Chunks): Chunks {
  const iterator = chunks[Symbol.asyncIterator]();
  const head = await readHead(iterator);
  if (head.length === 0) throw new AppError('invalid', 'the archive is empty');
  const whole = continued(head, iterator);
  const format = formats.find(({ magic }) => head.toString('hex', 0, magic.length / 2) === magic);
  switch (format?.name) {
    case undefined:
      return yield* whole;
    case 'gzip':
      return yield* through(whole, createGunzip(), 'gzip');
    case 'zstd':
      return yield* through(whole, createZstdDecompress(), 'zstd');
    default:
      throw new AppError('invalid', `archives packed with ${format?.name} are not read`, {
        hint: 'Send it plain, or packed with gzip or zstd.',
      });
  }
}

async function* through(
  chunks: Chunks,
  unpacker: ReturnType<typeof createGunzip> | ReturnType<typeof createZstdDecompress>,
  name: string,
): Chunks {
  const source = Readable.from(chunks, { objectMode: false });
  // A failure of either shows to who reads the unpacker.
  const fed = pipeline(source, unpacker).catch(() => undefined);
  try {
    yield* unpacker as AsyncIterable<Buffer>;
  } catch (error) {
    if (!isUnpackError(error)) throw error;
    throw new AppError('invalid', `the archive’s ${name} data is damaged: ${error.message}`, {
      cause: error,
    });
  } finally {
    unpacker.destroy();
    await fed;
  }
}

/** zlib's and zstd's own errors, as against those of the stream they read. */
function isUnpackError(error: unknown): error is Error {
  return (
    error instanceof Error && 'errno' in error && 'code' in error && /^(Z_|ZSTD_)/.test(String(error.code))
  );
}

async function readHead(iterator: AsyncIterator<Uint8Array>): Promise<Buffer> {
  let head = Buffer.alloc(0);
  while (head.length < magicBytesMax) {
    const { value, done } = await iterator.next();
    if (done) break;
    head = Buffer.concat([head, value]);
  }
  return head;
}

async function* continued(head: Buffer, iterator: AsyncIterator<Uint8Array>): Chunks {
  try {
    yield head;
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
  } finally {
    await iterator.return?.();
  }
}
