/**
 * The operator's key: made at the first start and kept in a file of mode 0600. It works without the database,
 * so that a host can be repaired whatever the database's state.
 */
import { timingSafeEqual } from 'node:crypto';
import { constants, type FileHandle, open } from 'node:fs/promises';
import { AppError } from '../core/errors.ts';
import type { Caller, KeyVerifier } from '../core/keys/caller.ts';
import { isSecret, makeSecret } from '../core/keys/secret.ts';
import { writeFileAtomic } from '../lib/files.ts';

const admin: Caller = {
  tenant: 'default',
  keyName: 'admin',
  keyId: null,
  expiresAt: null,
  scopes: ['*'],
  isOperator: true,
};

/** More than a key and its newline. */
const fileBytesMax = 256;

/**
 * Reads the admin key, or makes it; `isNew` if this call made it. Raises `invalid` for a file that cannot be
 * trusted.
 */
export async function loadAdminKey(path: string): Promise<{ readonly key: string; readonly isNew: boolean }> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const key = makeSecret();
    await writeFileAtomic(path, `${key}\n`, 0o600);
    return { key, isNew: true };
  }
  try {
    return { key: await readKey(path, file), isNew: false };
  } finally {
    await file.close();
  }
}

async function readKey(path: string, file: FileHandle): Promise<string> {
  const facts = await file.stat();
  const me = process.geteuid?.();
  if (!facts.isFile()) throw untrusted(path, 'is not a file', `Remove ${path}.`);
  if (facts.uid !== 0 && facts.uid !== me) {
    throw untrusted(path, `belongs to user ${facts.uid}`, 'Whoever owns it knows the key: remove it.');
  }
  if ((facts.mode & 0o077) !== 0) {
    throw untrusted(
      path,
      'can be read or changed by other users',
      `Remove it for a new key, or chmod 600 ${path} if nobody else has read it.`,
    );
  }
  const { buffer, bytesRead } = await file.read(Buffer.alloc(fileBytesMax), 0, fileBytesMax, 0);
  const key = buffer.toString('utf8', 0, bytesRead).trim();
  if (isSecret(key)) return key;
  throw untrusted(path, 'does not hold a key: hf_ and 32 letters and digits', 'Remove it for a new one.');
}

function untrusted(path: string, why: string, hint: string): AppError {
  return new AppError('invalid', `${path} ${why}`, { hint });
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
  verify: async () => ({ ...admin, keyName: 'anyone', isOperator: false }),
};

/** For DISABLE_AUTH on the operator's socket, which only the operator can reach. */
export const operatorVerifier: KeyVerifier = { verify: async () => admin };
