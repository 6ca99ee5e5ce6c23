/** Keeps files small to which a VMM appends. */
import type { FileHandle } from 'node:fs/promises';
import { openOwned } from './owned-file.ts';

export interface TailLimits {
  /** A file larger than this is trimmed. */
  readonly bytesMax: number;
  /** To this many last bytes. */
  readonly bytesKept: number;
}

export const consoleLimits: TailLimits = { bytesMax: 1024 * 1024, bytesKept: 512 * 1024 };
export const logLimits: TailLimits = { bytesMax: 256 * 1024, bytesKept: 64 * 1024 };

/** Copies [from, from + length) of the file to `to`; returns the number of bytes copied. */
async function moveDown(handle: FileHandle, from: number, to: number, length: number): Promise<number> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, from);
  await handle.write(buffer, 0, bytesRead, to);
  return bytesRead;
}

/**
 * Trims a file to its end when it exceeds its limit. Returns by how many bytes the remaining content moved
 * towards the beginning; 0 when nothing was trimmed. Ignores files that are not the daemon's. The VMM writes
 * with O_APPEND, so it continues at the new end without a hole. What it writes between the last check and the
 * truncation is lost.
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
