/**
 * Enlarges a disk that a VMM has written. The guest controls its header, which may name any host file as its
 * base or data file. So the header is checked here first, and qemu-img is restricted to opening only the
 * disk.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { AppError } from '../../core/errors.ts';
import { syncFile } from '../../lib/files.ts';
import type { QemuImg } from './qemu-img.ts';

export interface Growth {
  readonly path: string;
  readonly slot: number;
  readonly sizeBytes: number;
}

/** Does nothing if the disk is large enough. Raises `engine` when it is not a valid disk any more. */
export async function growDisk(qemuImg: QemuImg, growth: Growth, signal: AbortSignal): Promise<void> {
  const { path, slot, sizeBytes } = growth;
  if ((await readSize(path)) >= sizeBytes) return;
  const file = { driver: 'file', filename: path };
  const disk = `json:${JSON.stringify({ driver: 'qcow2', backing: null, file })}`;
  await qemuImg.run(['resize', '-q', disk, String(sizeBytes)], slot, signal);
  await syncFile(path);
}

/** The header of a qcow2 of version 3: https://gitlab.com/qemu-project/qemu/-/blob/master/docs/interop/qcow2.txt */
const headerBytes = 104;
const magic = 0x51_46_49_fb;
const at = { magic: 0, version: 4, size: 24, encryption: 32, features: 72 } as const;
/** `dirty` and `corrupt`, which refer to no other file. */
const harmlessFeatures = 0b11n;

async function readSize(path: string): Promise<number> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    return sizeOf(await readHeader(file));
  } finally {
    await file.close();
  }
}

async function readHeader(file: FileHandle): Promise<Buffer> {
  const header = Buffer.alloc(headerBytes);
  const { bytesRead } = await file.read(header, 0, headerBytes, 0);
  return header.subarray(0, bytesRead);
}

function sizeOf(header: Buffer): number {
  const isOurs =
    header.length === headerBytes &&
    header.readUInt32BE(at.magic) === magic &&
    header.readUInt32BE(at.version) === 3 &&
    header.readUInt32BE(at.encryption) === 0 &&
    (header.readBigUInt64BE(at.features) & ~harmlessFeatures) === 0n;
  if (!isOurs) {
    throw new AppError('engine', 'the header of the disk is damaged', {
      hint: 'Delete the machine; its disk cannot be used any more.',
    });
  }
  return Number(header.readBigUInt64BE(at.size));
}
