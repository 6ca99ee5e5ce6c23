/**
 * The operator's key: made at the first start, kept in a file of mode 0600. It is good without the database, so that a
 * host can be looked after whatever has become of that.
 */
import { timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Caller, KeyVerifier } from '../core/keys/caller.ts';
import { makeSecret } from '../core/keys/secret.ts';
import { writeFileAtomic } from '../lib/files.ts';

const admin: Caller = {
  tenant: 'default',
  keyName: 'admin',
  keyId: null,
  expiresAt: null,
  scopes: ['*'],
  isOperator: true,
};

/** Reads the admin key, or makes it; `isNew` when this call did. */
export async function loadAdminKey(path: string): Promise<{ readonly key: string; readonly isNew: boolean }> {
  try {
    return { key: (await readFile(path, 'utf8')).trim(), isNew: false };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const key = makeSecret();
  await writeFileAtomic(path, `${key}\n`, 0o600);
  return { key, isNew: true };
}

/** Lets the admin key in by itself and asks `others` about every other. */
export function adminKeyVerifier(key: string, others: KeyVerifier): KeyVerifier {
  const expected = Buffer.from(key);
  return {
    async verify(given) {
      if (given !== null && isSame(Buffer.from(given), expected)) return admin;
      return others.verify(given);
    },
  };
}

/** How long a key is is no secret. */
function isSame(given: Buffer, expected: Buffer): boolean {
  return given.length === expected.length && timingSafeEqual(given, expected);
}

/** For DISABLE_AUTH: everyone is the admin. */
export const openVerifier: KeyVerifier = { verify: async () => admin };
