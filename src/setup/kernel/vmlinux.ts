/**
 * The ELF kernel inside a bzImage. It boots faster than the bzImage, because nothing is decompressed in the guest.
 * Layout: Linux `Documentation/arch/x86/boot.rst` (setup header, `payload_offset`, `payload_length`).
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { AppError } from '../../core/errors.ts';
import { run } from '../../lib/process.ts';
import type { Environment } from '../context.ts';

export type Compression = 'gzip' | 'xz' | 'zstd' | 'lz4';

/** Debian's has some 50 MiB. */
export const vmlinuxBytesMax = 512 * 2 ** 20;

/** Beyond what the kernel's build packs with. */
const xzMemory = '512MiB';
const toolMs = 60_000;
const magicBytesMax = 6;

const magics: readonly (readonly [Compression, string])[] = [
  ['gzip', '1f8b'],
  ['xz', 'fd377a585a00'],
  ['zstd', '28b52ffd'],
  ['lz4', '02214c18'],
];

const offsets = {
  setupSectors: 0x1f1,
  magic: 0x202,
  version: 0x206,
  payloadOffset: 0x248,
  payloadLength: 0x24c,
};
// 2.08 is the first boot protocol that tells where the payload is.
const protocolMin = 0x0208;
const headerBytes = 0x250;

/** Where in the file the compressed kernel lies: from `start` up to, and without, `end`. */
export interface Payload {
  readonly compression: Compression;
  readonly start: number;
  readonly end: number;
}

/** Finds the compressed kernel in a bzImage; raises `unsupported` when there is none that we can unpack. */
export async function findPayload(path: string): Promise<Payload> {
  const file = await open(path, 'r');
  try {
    const { start, end } = readHeader(await readAt(file, 0, headerBytes), (await file.stat()).size);
    const head = (await readAt(file, start, Math.min(magicBytesMax, end - start))).toString('hex');
    const magic = magics.find(([, prefix]) => head.startsWith(prefix));
    if (!magic) throw refusal(`unknown compression ${head}`);
    const compression = magic[0];
    // Except for gzip, which has it built in, the kernel's build appends the unpacked size as four bytes.
    return { compression, start, end: compression === 'gzip' ? end : Math.max(start, end - 4) };
  } finally {
    await file.close();
  }
}

function readHeader(head: Buffer, imageBytes: number): Omit<Payload, 'compression'> {
  if (head.length < headerBytes || head.toString('latin1', offsets.magic, offsets.magic + 4) !== 'HdrS') {
    throw refusal('it has no setup header');
  }
  const version = head.readUInt16LE(offsets.version);
  if (version < protocolMin) throw refusal(`boot protocol 0x${version.toString(16)}`);
  // Zero means four, for very old boot loaders.
  const setupSectors = head.readUInt8(offsets.setupSectors) || 4;
  const start = (setupSectors + 1) * 512 + head.readUInt32LE(offsets.payloadOffset);
  const end = start + head.readUInt32LE(offsets.payloadLength);
  if (end > imageBytes) throw refusal('it is cut off');
  return { start, end };
}

function refusal(why: string): AppError {
  return new AppError('unsupported', `not a kernel image we can unpack: ${why}`);
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}

interface ToolOptions {
  readonly env: Environment;
  readonly signal: AbortSignal;
}

/**
 * Unpacks `bzImage` to the ELF file `target`; `scratch` is a path it may use. Raises `unsupported` when what is in it is
 * larger than `vmlinuxBytesMax` or no kernel.
 */
export async function extractVmlinux(
  bzImage: string,
  target: string,
  scratch: string,
  options: ToolOptions,
): Promise<void> {
  const payload = await findPayload(bzImage);
  switch (payload.compression) {
    case 'gzip':
    case 'zstd':
      await unpackStream(bzImage, payload, target, options.signal);
      break;
    case 'lz4':
      await copyPayload(bzImage, payload, scratch, options.signal);
      await runLimited('lz4', ['-d', '-q', '-f', scratch, target], vmlinuxBytesMax, options);
      await rm(scratch);
      break;
    case 'xz':
      await copyPayload(bzImage, payload, `${target}.xz`, options.signal);
      await runXz(`${target}.xz`, vmlinuxBytesMax, options);
      break;
  }
  await requireElf(target);
}

/** Unpacks a file whose name ends in `.xz` in its place; raises ProcessError when that makes more than `bytesMax`. */
export function runXz(path: string, bytesMax: number, options: ToolOptions): Promise<void> {
  const args = ['-d', '-q', '-f', '--threads=1', `--memlimit-decompress=${xzMemory}`, path];
  return runLimited('xz', args, bytesMax, options);
}

async function runLimited(
  command: string,
  args: readonly string[],
  bytesMax: number,
  { env, signal }: ToolOptions,
): Promise<void> {
  const limited = [`--fsize=${bytesMax}`, '--', command, ...args];
  await run('prlimit', limited, { env, signal, timeoutMs: toolMs, isBoundToUs: true });
}

/** A stream takes no empty range, and none of these formats has an empty file. */
function readPayload(bzImage: string, { start, end }: Payload, signal: AbortSignal) {
  if (end <= start) throw refusal('it is empty');
  return createReadStream(bzImage, { start, end: end - 1, highWaterMark: 1 << 20, signal });
}

async function copyPayload(
  bzImage: string,
  payload: Payload,
  target: string,
  signal: AbortSignal,
): Promise<void> {
  await pipeline(readPayload(bzImage, payload, signal), createWriteStream(target));
}

async function unpackStream(
  bzImage: string,
  payload: Payload,
  target: string,
  signal: AbortSignal,
): Promise<void> {
  const unpacker = payload.compression === 'gzip' ? createGunzip() : createZstdDecompress();
  const limited = async function* (chunks: AsyncIterable<Buffer>) {
    let bytes = 0;
    for await (const chunk of chunks) {
      bytes += chunk.length;
      if (bytes > vmlinuxBytesMax) throw new AppError('unsupported', 'the kernel unpacks to too much');
      yield chunk;
    }
  };
  await pipeline(readPayload(bzImage, payload, signal), unpacker, limited, createWriteStream(target));
}

/** Raises `unsupported` unless the file begins as ELF files do. */
export async function requireElf(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    const head = await readAt(file, 0, 4);
    if (head.toString('latin1') === '\x7fELF') return;
    throw new AppError('unsupported', 'the kernel image does not hold an ELF kernel');
  } finally {
    await file.close();
  }
}
