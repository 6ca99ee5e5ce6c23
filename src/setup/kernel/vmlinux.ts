/**
 * The ELF kernel inside a bzImage. It boots faster than the bzImage, because nothing is decompressed in the guest.
 * Layout: Linux `Documentation/arch/x86/boot.rst` (setup header, `payload_offset`, `payload_length`).
 */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { AppError } from '../../core/errors.ts';
import { run } from '../../lib/process.ts';
import type { Environment } from '../context.ts';

export type Compression = 'gzip' | 'xz' | 'zstd' | 'lz4';

/** Debian's has some 50 MiB. */
export const vmlinuxBytesMax = 512 * 2 ** 20;

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

export interface Payload {
  readonly compression: Compression;
  readonly data: Buffer;
}

/** Finds the compressed kernel in a bzImage; raises `unsupported` when there is none that we can unpack. */
export function findPayload(image: Buffer): Payload {
  const refuse = (why: string) => new AppError('unsupported', `not a kernel image we can unpack: ${why}`);
  if (image.length < headerBytes || image.toString('latin1', offsets.magic, offsets.magic + 4) !== 'HdrS') {
    throw refuse('it has no setup header');
  }
  const version = image.readUInt16LE(offsets.version);
  if (version < protocolMin) throw refuse(`boot protocol 0x${version.toString(16)}`);
  // Zero means four, for very old boot loaders.
  const setupSectors = image.readUInt8(offsets.setupSectors) || 4;
  const start = (setupSectors + 1) * 512 + image.readUInt32LE(offsets.payloadOffset);
  const end = start + image.readUInt32LE(offsets.payloadLength);
  if (end > image.length) throw refuse('it is cut off');
  const data = image.subarray(start, end);
  const magic = magics.find(([, prefix]) => data.toString('hex', 0, prefix.length / 2) === prefix);
  if (!magic) throw refuse(`unknown compression ${data.toString('hex', 0, 6)}`);
  const compression = magic[0];
  // Except for gzip, which has it built in, the kernel's build appends the unpacked size as four bytes.
  return { compression, data: compression === 'gzip' ? data : data.subarray(0, -4) };
}

/** Unpacks `bzImage` to the ELF file `target`; `scratch` is a path it may use. */
export async function extractVmlinux(
  bzImage: string,
  target: string,
  scratch: string,
  options: { readonly env: Environment; readonly signal: AbortSignal },
): Promise<void> {
  const payload = findPayload(await readFile(bzImage));
  const limit = { maxOutputLength: vmlinuxBytesMax };
  const limited = [`--fsize=${vmlinuxBytesMax}`, '--'];
  switch (payload.compression) {
    case 'gzip':
      await writeFile(target, gunzipSync(payload.data, limit));
      break;
    case 'zstd':
      await writeFile(target, zstdDecompressSync(payload.data, limit));
      break;
    case 'lz4':
      await writeFile(scratch, payload.data);
      await run('prlimit', [...limited, 'lz4', '-d', '-q', '-f', scratch, target], {
        ...options,
        timeoutMs: 60_000,
      });
      await rm(scratch);
      break;
    case 'xz':
      await writeFile(`${target}.xz`, payload.data);
      await run('prlimit', [...limited, 'xz', '-d', '-q', '-f', `${target}.xz`], {
        ...options,
        timeoutMs: 60_000,
      });
      break;
  }
  await requireElf(target);
}

/** Raises `unsupported` unless the file begins as ELF files do. */
export async function requireElf(path: string): Promise<void> {
  const head = (await readFile(path)).subarray(0, 4);
  if (head.toString('latin1') !== '\x7fELF') {
    throw new AppError('unsupported', 'the kernel image does not hold an ELF kernel');
  }
}
