/** Keeps files small that a VMM appends to. */
import type { FileHandle } from 'node:fs/promises';
import { openOwned } from './owned-file.ts';

export interface TailLimits {
  /** A file larger than this is cut… */
  readonly bytesMax: number;
  /** …to its last bytes. */
  readonly bytesKept: number;
}

export const consoleLimits: TailLimits = { bytesMax: 1024 * 1024, bytesKept: 512 * 1024 };
export const logLimits: TailLimits = { bytesMax: 256 * 1024, bytesKept: 64 * 1024 };

/** Copies [from, from + length) of the file to `to`; returns how much there was. */
async function moveDown(handle: FileHandle, from: number, to: number, length: number): Promise<number> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, from);
  await handle.write(buffer, 0, bytesRead, to);
  return bytesRead;
}

/**
 * Cuts a file to its end when it has outgrown its limit; returns by how many bytes that moved what is left towards the
 * beginning, 0 when nothing was cut. What is not a file of the daemon's is left alone. The VMM writes with O_APPEND, so it goes on behind the new end and leaves no hole. What it writes between the
 * last look and the cut is lost.
 */
export async function trimFile(path: string, limits: TailLimits): Promise<number> {
  const opened = await openOwned(path, 'read-write');
  if (opened.kind !== 'owned') return 0;
  const { handle, size } = opened;
  const { bytesMax, bytesKept } = limits;
  try {
    if (size <= bytesMax) return 0;
    const kept = await moveDown(handle, size - bytesKept, 0, bytesKept);
    const arrived = (await handle.stat()).size - size;
    const more = arrived > 0 ? await moveDown(handle, size, kept, Math.min(arrived, bytesKept)) : 0;
    await handle.truncate(kept + more);
    return size - bytesKept;
  } finally {
    await handle.close();
  }
}
