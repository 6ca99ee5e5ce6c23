/** The one key there is so far: made at the first start, kept in a file of mode 0600, compared in constant time. */
import { createHash, randomInt, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { AppError } from '../core/errors.ts';
import type { Caller, KeyVerifier } from '../core/keys/caller.ts';
import { writeFileAtomic } from '../lib/files.ts';

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const admin: Caller = { tenant: 'default', keyName: 'admin', scopes: ['*'], isOperator: true };

/** Reads the admin key, or makes it; `isNew` when this call did. */
export async function loadAdminKey(path: string): Promise<{ readonly key: string; readonly isNew: boolean }> {
  try {
    return { key: (await readFile(path, 'utf8')).trim(), isNew: false };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const key = `hf_${Array.from({ length: 32 }, () => alphabet[randomInt(alphabet.length)]).join('')}`;
  await writeFileAtomic(path, `${key}\n`, 0o600);
  return { key, isNew: true };
}

export function adminKeyVerifier(key: string): KeyVerifier {
  const expected = digest(key);
  return {
    async verify(given) {
      if (given === null) throw new AppError('unauthenticated', 'Authorization header is required');
      if (!timingSafeEqual(digest(given), expected)) throw new AppError('unauthenticated', 'Invalid API key');
      return admin;
    },
  };
}

/** For DISABLE_AUTH: everyone is the admin. */
export const openVerifier: KeyVerifier = { verify: async () => admin };

function digest(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
