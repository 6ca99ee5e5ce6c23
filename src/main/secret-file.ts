/** Reads files with secrets of the state directory, and refuses those that another user knows or can replace. */
import { constants, open } from 'node:fs/promises';
import { AppError } from '../core/errors.ts';

/** More than any key. */
const fileBytesMax = 16 * 1024;

/** Null: there is none. Raises `invalid`. */
export async function readSecretFile(path: string): Promise<string | null> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(path, flags).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (file === null) return null;
  try {
    const facts = await file.stat();
    if (!facts.isFile()) throw untrusted(path, 'is not a file', `Remove ${path}.`);
    if (facts.uid !== 0 && facts.uid !== process.geteuid?.()) {
      throw untrusted(path, `belongs to user ${facts.uid}`, 'Whoever owns it knows the key: remove it.');
    }
    if ((facts.mode & 0o077) !== 0) {
      const hint = `Remove it for a new key, or chmod 600 ${path} if nobody else has read it.`;
      throw untrusted(path, 'can be read or changed by other users', hint);
    }
    const { buffer, bytesRead } = await file.read(Buffer.alloc(fileBytesMax), 0, fileBytesMax, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}

function untrusted(path: string, why: string, hint: string): AppError {
  return new AppError('invalid', `${path} ${why}`, { hint });
}
