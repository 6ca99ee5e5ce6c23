/**
 * Reads the header of a qcow2 file that a VMM has written. Its guest may control it, so it may name any file of the host as its
 * base or data file.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { AppError } from '../../core/errors.ts';

export interface DiskHeader {
  /** Of the disk that the guest sees. */
  readonly sizeBytes: number;
  /** The path of the file below it, as written there; null: none. */
  readonly backing: string | null;
}

/** The header of a qcow2 of version 3: https://gitlab.com/qemu-project/qemu/-/blob/master/docs/interop/qcow2.txt */
const headerBytes = 104;
const magic = 0x51_46_49_fb;
const at = {
  magic: 0,
  version: 4,
  backingOffset: 8,
  backingBytes: 16,
  size: 24,
  encryption: 32,
  features: 72,
} as const;
/** `dirty` and `corrupt`, which refer to no other file. */
const harmlessFeatures = 0b11n;
/** The format's own limit. */
const backingBytesMax = 1023;

/** Raises `engine` when the header is not one that qemu-img makes for us. */
export async function readDiskHeader(path: string): Promise<DiskHeader> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const header = await readAt(file, 0, headerBytes);
    const isOurs =
      header.length === headerBytes &&
      header.readUInt32BE(at.magic) === magic &&
      header.readUInt32BE(at.version) === 3 &&
      header.readUInt32BE(at.encryption) === 0 &&
      (header.readBigUInt64BE(at.features) & ~harmlessFeatures) === 0n;
    if (!isOurs) throw damaged();
    return {
      sizeBytes: Number(header.readBigUInt64BE(at.size)),
      backing: await readBacking(file, header),
    };
  } finally {
    await file.close();
  }
}

async function readBacking(file: FileHandle, header: Buffer): Promise<string | null> {
  const offset = Number(header.readBigUInt64BE(at.backingOffset));
  const bytes = header.readUInt32BE(at.backingBytes);
  if (offset === 0 || bytes === 0) return null;
  if (!Number.isSafeInteger(offset) || bytes > backingBytesMax) throw damaged();
  const name = await readAt(file, offset, bytes);
  if (name.length < bytes) throw damaged();
  return name.toString('utf8');
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}

function damaged(): AppError {
  return new AppError('engine', 'the header of the disk is damaged', {
    hint: 'Delete the machine; its disk cannot be used any more.',
  });
}
