/**
 * Extracts the ELF kernel from a bzImage. It boots faster than the bzImage, because nothing is decompressed
 * in the guest. Layout: Linux `Documentation/arch/x86/boot.rst` (setup header, `payload_offset`,
 * `payload_length`).
 */
import { createWriteStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { AppError } from '../../core/errors.ts';
import { fileChunks } from '../../lib/filter.ts';
import { type Compression, type ToolContext, unpacked } from './unpack.ts';

/** Debian's has some 50 MiB. */
export const vmlinuxBytesMax = 512 * 2 ** 20;

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
// 2.08 is the first boot protocol that contains the payload's position.
const protocolMin = 0x0208;
const headerBytes = 0x250;

/** The position of the compressed kernel in the file: from `start` to before `end`. */
export interface Payload {
  readonly compression: Compression;
  readonly start: number;
  readonly end: number;
}

/**
 * Finds the compressed kernel in a bzImage; raises `unsupported` when there is none that we can decompress.
 */
export async function findPayload(path: string): Promise<Payload> {
  const file = await open(path, 'r');
  try {
    const { start, end } = readHeader(await readAt(file, 0, headerBytes), (await file.stat()).size);
    const head = (await readAt(file, start, Math.min(magicBytesMax, end - start))).toString('hex');
    const magic = magics.find(([, prefix]) => head.startsWith(prefix));
    if (!magic) throw refusal(`unknown compression ${head}`);
    const compression = magic[0];
    // The kernel's build appends the unpacked size as four bytes, except for gzip, which contains it.
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

/**
 * Unpacks `bzImage` to the ELF file `target`. Raises `unsupported` when its content is larger than
 * `vmlinuxBytesMax` or not a kernel.
 */
export async function extractVmlinux(bzImage: string, target: string, context: ToolContext): Promise<void> {
  const { compression, start, end } = await findPayload(bzImage);
  // A stream accepts no empty range, and none of these formats has an empty file.
  if (end <= start) throw refusal('it is empty');
  const { signal } = context;
  const payload = fileChunks(bzImage, signal, { start, end: end - 1 });
  await pipeline(unpacked(compression, payload, vmlinuxBytesMax, context), createWriteStream(target), {
    signal,
  });
  await requireElf(target);
}

/** Raises `unsupported` unless the file starts like an ELF file. */
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
