/** Keeps a console file small while a VMM appends to it. */
import { constants, type FileHandle, open } from 'node:fs/promises';

/** A console larger than this is cut… */
export const consoleBytesMax = 1024 * 1024;
/** …to its last bytes. */
export const consoleBytesKept = 512 * 1024;

/** Copies [from, from + length) of the file to `to`; returns how much there was. */
async function moveDown(handle: FileHandle, from: number, to: number, length: number): Promise<number> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, from);
  await handle.write(buffer, 0, bytesRead, to);
  return bytesRead;
}

/**
 * Cuts the console to its end when it has outgrown its limit; true when it did. The VMM writes with O_APPEND, so it
 * goes on behind the new end and leaves no hole. What it writes between the last look and the cut is lost.
 */
export async function trimConsole(path: string): Promise<boolean> {
  let handle: FileHandle;
  try {
    handle = await open(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
  try {
    const { size } = await handle.stat();
    if (size <= consoleBytesMax) return false;
    const kept = await moveDown(handle, size - consoleBytesKept, 0, consoleBytesKept);
    const arrived = (await handle.stat()).size - size;
    const more = arrived > 0 ? await moveDown(handle, size, kept, Math.min(arrived, consoleBytesKept)) : 0;
    await handle.truncate(kept + more);
    return true;
  } finally {
    await handle.close();
  }
}
