/**
 * Enlarges a disk that a VMM has written. The guest controls its header, which may name any host file as its
 * base or data file. So the header is checked here first, and qemu-img is restricted to opening only the
 * disk.
 */
import { syncFile } from '../../lib/files.ts';
import { readDiskHeader } from './disk-header.ts';
import type { QemuImg } from './qemu-img.ts';

export interface Growth {
  readonly path: string;
  readonly slot: number;
  readonly sizeBytes: number;
}

/** Does nothing if the disk is large enough. Raises `engine` when it is not a valid disk any more. */
export async function growDisk(qemuImg: QemuImg, growth: Growth, signal: AbortSignal): Promise<void> {
  const { path, slot, sizeBytes } = growth;
  if ((await readDiskHeader(path)).sizeBytes >= sizeBytes) return;
  const file = { driver: 'file', filename: path };
  const disk = `json:${JSON.stringify({ driver: 'qcow2', backing: null, file })}`;
  await qemuImg.run(['resize', '-q', disk, String(sizeBytes)], slot, signal);
  await syncFile(path);
}
