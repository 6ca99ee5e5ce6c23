/**
 * Opens files in a directory to which a hostile process can add files. Only a regular file made by the
 * daemon's own user is opened, and opening never blocks.
 */
import type { Stats } from 'node:fs';
import { constants, type FileHandle, open } from 'node:fs/promises';

/** What is at a path: nothing, a file of ours, or something that must not be read. */
export type Opened =
  | { readonly kind: 'absent' }
  | { readonly kind: 'foreign'; readonly why: string }
  | { readonly kind: 'owned'; readonly handle: FileHandle; readonly size: number };

/** Error codes of `open` for a link, a socket, a directory, an inaccessible file, and a file with a lease. */
const foreignCodes: ReadonlySet<string | undefined> = new Set([
  'ELOOP',
  'ENXIO',
  'EISDIR',
  'EACCES',
  'EPERM',
  'EAGAIN',
]);

function whyForeign(stats: Stats): string | null {
  if (!stats.isFile()) return 'it is not a regular file';
  if (stats.uid !== process.geteuid?.()) return `it belongs to user ${stats.uid}`;
  // A file of ours that another user may write, such as the console, could get a second hard link.
  if (stats.nlink !== 1) return 'it has more than one name';
  return null;
}

/**
 * Opens for reading, or for reading and writing; the caller closes an owned file. Rejects with the system's
 * error for other failures.
 */
export async function openOwned(path: string, mode: 'read' | 'read-write'): Promise<Opened> {
  const access = mode === 'read' ? constants.O_RDONLY : constants.O_RDWR;
  let handle: FileHandle;
  try {
    handle = await open(path, access | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return { kind: 'absent' };
    if (foreignCodes.has(code)) return { kind: 'foreign', why: `it does not open: ${code}` };
    throw error;
  }
  try {
    const stats = await handle.stat();
    const why = whyForeign(stats);
    if (why === null) return { kind: 'owned', handle, size: stats.size };
    await handle.close();
    return { kind: 'foreign', why };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** A range of a file's bytes, the position of its end, and the size that the file had. */
export interface Piece {
  readonly bytes: Buffer;
  readonly end: number;
  readonly size: number;
}

/**
 * Reads the range that `choose` returns for the file's size; empty, ending at 0, when there is no file of
 * ours.
 */
export async function readPiece(
  path: string,
  choose: (size: number) => { readonly from: number; readonly length: number },
): Promise<Piece> {
  const opened = await openOwned(path, 'read');
  if (opened.kind !== 'owned') return { bytes: Buffer.alloc(0), end: 0, size: 0 };
  const { handle, size } = opened;
  try {
    const { from, length } = choose(size);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, from);
    return { bytes: buffer.subarray(0, bytesRead), end: from + bytesRead, size };
  } finally {
    await handle.close();
  }
}

/** The last `bytesMax` bytes of a file; empty when there is no file of ours. */
export async function readTail(path: string, bytesMax: number): Promise<Buffer> {
  return (await readPiece(path, (size) => lastBytes(size, bytesMax))).bytes;
}

/** The range of the last `bytesMax` bytes of a file of that size. */
export function lastBytes(
  size: number,
  bytesMax: number,
): { readonly from: number; readonly length: number } {
  const length = Math.min(size, bytesMax);
  return { from: size - length, length };
}

/** Appends to a file of ours; false, and nothing written, when there is none. Rejects with the system's error. */
export async function appendOwned(path: string, text: string): Promise<boolean> {
  const opened = await openOwned(path, 'read-write');
  if (opened.kind !== 'owned') return false;
  const { handle, size } = opened;
  try {
    await handle.write(text, size);
    return true;
  } finally {
    await handle.close();
  }
}
