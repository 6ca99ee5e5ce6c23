/** Content digests in the form `sha256:` and 64 hexadecimal digits. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';

/** One buffer for the whole file. A stream would allocate a buffer per read and grow the daemon's heap. */
const chunkBytes = 1 << 18;

/** Digest of a file's content, read piece by piece. Rejects with the signal's reason. */
export async function fileDigest(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafeSlow(chunkBytes);
  const file = await open(path, 'r');
  try {
    for (;;) {
      signal?.throwIfAborted();
      const { bytesRead } = await file.read(chunk, 0, chunkBytes, null);
      if (bytesRead === 0) return `sha256:${hash.digest('hex')}`;
      hash.update(chunk.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
}
