/**
 * Opening files in a directory that a hostile process may make files in too: what is opened is a regular file that the
 * daemon's own user made, and opening it waits for nobody.
 */
import type { Stats } from 'node:fs';
import { constants, type FileHandle, open } from 'node:fs/promises';

/** What stands at a path: nothing, a file of ours, or something nobody should read. */
export type Opened =
  | { readonly kind: 'absent' }
  | { readonly kind: 'foreign'; readonly why: string }
  | { readonly kind: 'owned'; readonly handle: FileHandle; readonly size: number };

/** What `open` says of a link, a socket, a directory, a file closed to us, and one with a lease on it. */
const foreignCodes: ReadonlySet<string | undefined> = new Set([
  'ELOOP',
  'ENXIO',
  'EISDIR',
  'EACCES',
  'EPERM',
  'EAGAIN',
]);

function whyForeign(stats: Stats): string | null {
  if (!stats.isFile()) return 'it is no regular file';
  if (stats.uid !== process.geteuid?.()) return `it belongs to user ${stats.uid}`;
  // A file of ours that another may write, such as the console, could be given a second name.
  if (stats.nlink !== 1) return 'it has more than one name';
  return null;
}

/** Opens for reading, or for both; the caller closes an owned one. Rejects with the system's error for any other trouble. */
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

/** Bytes of a file, and where in it they end. */
export interface Piece {
  readonly bytes: Buffer;
  readonly end: number;
}

/** Reads what `choose` says of a file of that size; empty, and ending at 0, when there is none of ours. */
export async function readPiece(
  path: string,
  choose: (size: number) => { readonly from: number; readonly length: number },
): Promise<Piece> {
  const opened = await openOwned(path, 'read');
  if (opened.kind !== 'owned') return { bytes: Buffer.alloc(0), end: 0 };
  const { handle, size } = opened;
  try {
    const { from, length } = choose(size);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, from);
    return { bytes: buffer.subarray(0, bytesRead), end: from + bytesRead };
  } finally {
    await handle.close();
  }
}

/** The last `bytesMax` bytes of a file; empty when there is none of ours. */
export async function readTail(path: string, bytesMax: number): Promise<Buffer> {
  return (await readPiece(path, (size) => lastBytes(size, bytesMax))).bytes;
}

/** Where the last `bytesMax` bytes of a file of that size are. */
export function lastBytes(
  size: number,
  bytesMax: number,
): { readonly from: number; readonly length: number } {
  const length = Math.min(size, bytesMax);
  return { from: size - length, length };
}
