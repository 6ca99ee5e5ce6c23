/**
 * The operator's key: made at the first start and kept in a file of mode 0600. It works without the database,
 * so that a host can be repaired whatever the database's state.
 */
import { timingSafeEqual } from 'node:crypto';
import { AppError } from '../core/errors.ts';
import type { Caller, KeyVerifier } from '../core/keys/caller.ts';
import { isSecret, makeSecret } from '../core/keys/secret.ts';
import { writeFileAtomic } from '../lib/files.ts';
import { readSecretFile } from './secret-file.ts';

const admin: Caller = {
  tenant: 'default',
  keyName: 'admin',
  keyId: null,
  expiresAt: null,
  scopes: ['*'],
  tier: null,
  isOperator: true,
};

/**
 * Reads the admin key, or makes it; `isNew` if this call made it. Raises `invalid` for a file that cannot be
 * trusted.
 */
export async function loadAdminKey(path: string): Promise<{ readonly key: string; readonly isNew: boolean }> {
  const text = await readSecretFile(path);
  if (text === null) {
    const key = makeSecret();
    await writeFileAtomic(path, `${key}\n`, 0o600);
    return { key, isNew: true };
  }
  const key = text.trim();
  if (isSecret(key)) return { key, isNew: false };
  throw new AppError('invalid', `${path} does not hold a key: hf_ and 32 letters and digits`, {
    hint: 'Remove it for a new one.',
  });
}

/** Accepts the admin key itself and delegates all other keys to `others`. */
export function adminKeyVerifier(key: string, others: KeyVerifier): KeyVerifier {
  const expected = Buffer.from(key);
  return {
    async verify(given) {
      if (given !== null && isSame(Buffer.from(given), expected)) return admin;
      return others.verify(given);
    },
  };
}

/** The length of a key is no secret. */
function isSame(given: Buffer, expected: Buffer): boolean {
  return given.length === expected.length && timingSafeEqual(given, expected);
}

/**
 * For DISABLE_AUTH: everyone has all scopes, but nobody is the operator, who may name files of the host and
 * would thereby be root.
 */
export const openVerifier: KeyVerifier = {
  verify: async () => ({ ...admin, keyName: 'anyone', tier: null, isOperator: false }),
};

/** For DISABLE_AUTH on the operator's socket, which only the operator can reach. */
export const operatorVerifier: KeyVerifier = { verify: async () => admin };
