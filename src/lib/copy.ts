/** Copies files in pieces, with holes where the source has only zeros. */
import { constants, type FileHandle, open } from 'node:fs/promises';

const pieceBytes = 1024 * 1024;
const zeros = Buffer.alloc(pieceBytes);

/**
 * Replaces the content of `target`, which is made with `mode` if it is not there, with that of an open file. Durable when it
 * resolves. Between two pieces it looks at the signal, and raises its reason; the target is then incomplete.
 */
export async function copyFrom(
  source: FileHandle,
  target: string,
  signal: AbortSignal,
  mode = 0o600,
): Promise<void> {
  const { O_CREAT, O_NOFOLLOW, O_TRUNC, O_WRONLY } = constants;
  const file = await open(target, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode);
  try {
    const buffer = Buffer.allocUnsafe(pieceBytes);
    let at = 0;
    for (;;) {
      signal.throwIfAborted();
      const { bytesRead } = await source.read(buffer, 0, pieceBytes, at);
      if (bytesRead === 0) break;
      const piece = buffer.subarray(0, bytesRead);
      if (!piece.equals(zeros.subarray(0, bytesRead))) await writeWhole(file, piece, at);
      at += bytesRead;
    }
    await file.truncate(at);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The same for a file that only this process can change. */
export async function copyWhole(
  source: string,
  target: string,
  signal: AbortSignal,
  mode = 0o600,
): Promise<void> {
  const file = await open(source, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    await copyFrom(file, target, signal, mode);
  } finally {
    await file.close();
  }
}

async function writeWhole(file: FileHandle, piece: Buffer, at: number): Promise<void> {
  for (let done = 0; done < piece.length; ) {
    const { bytesWritten } = await file.write(piece, done, piece.length - done, at + done);
    done += bytesWritten;
  }
}
