/** Public keys for tests that need no private half. */
import { generateKeyPairSync } from 'node:crypto';
import { publicKeyLine } from '../../src/core/ssh/public-key.ts';
import { sshString } from '../../src/core/ssh/wire.ts';

/** A new Ed25519 key as a line for `authorized_keys`. */
export function newPublicKey(comment = ''): string {
  const { x = '' } = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
  const blob = Buffer.concat([sshString('ssh-ed25519'), sshString(Buffer.from(x, 'base64url'))]);
  return publicKeyLine({ type: 'ssh-ed25519', blob }, comment);
}
