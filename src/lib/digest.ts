/** Content digests as they are written everywhere: `sha256:` and 64 hexadecimal digits. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';

/** One buffer for a whole file: a stream takes a new one for each read, and a daemon would keep the heap that filled. */
const chunkBytes = 1 << 18;

/** The digest of a file's content; reads it piece by piece. Rejects with the signal's reason. */
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
