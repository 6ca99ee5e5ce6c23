/** Makes and reads the gateway's own keys: its host key, and the key of the authority for certificates. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { AppError } from '../core/errors.ts';
import { readPublicKey, type SshPublicKey } from '../core/ssh/public-key.ts';
import { SshFormatError, SshReader, sshString, sshUint32 } from '../core/ssh/wire.ts';

/** A new Ed25519 key in OpenSSH's format, so that `ssh-keygen` can use it too. */
export function makePrivateKey(comment: string): string {
  return encodePrivateKey(generateKeyPairSync('ed25519').privateKey, comment);
}

const cipherBlockBytes = 8;

/**
 * An Ed25519 key without a passphrase in OpenSSH's format (PROTOCOL.key). Not ssh2's generator: that drops zero bytes at the
 * beginning of the public half, so that one key in 256 is damaged.
 */
export function encodePrivateKey(key: KeyObject, comment: string): string {
  const { x = '', d = '' } = key.export({ format: 'jwk' });
  const [point, seed] = [Buffer.from(x, 'base64url'), Buffer.from(d, 'base64url')];
  const publicKey = [sshString('ssh-ed25519'), sshString(point)];
  const check = randomBytes(4);
  const body = Buffer.concat([
    ...[check, check, ...publicKey],
    ...[sshString(Buffer.concat([seed, point])), sshString(comment)],
  ]);
  const padding = Buffer.from([1, 2, 3, 4, 5, 6, 7]).subarray(0, -body.length & (cipherBlockBytes - 1));
  const blob = Buffer.concat([
    ...[Buffer.from('openssh-key-v1\0'), sshString('none'), sshString('none'), sshString('')],
    ...[sshUint32(1), sshString(Buffer.concat(publicKey)), sshString(Buffer.concat([body, padding]))],
  ]);
  const lines = blob.toString('base64').match(/.{1,70}/g) ?? [];
  return ['-----BEGIN OPENSSH PRIVATE KEY-----', ...lines, '-----END OPENSSH PRIVATE KEY-----', ''].join(
    '\n',
  );
}

export interface PrivateKey {
  readonly publicKey: SshPublicKey;
  readonly secretKey: KeyObject;
}

/**
 * Reads what `encodePrivateKey` and `ssh-keygen -t ed25519 -N ''` write. `name`: for the message when it is damaged. Raises
 * `invalid`. Not ssh2's reader, which would have every daemon load ssh2, also one that nobody enters over SSH.
 */
export function readPrivateKey(text: string, name: string): PrivateKey {
  try {
    return decodePrivateKey(text);
  } catch (error) {
    throw new AppError('invalid', `${name} does not hold an Ed25519 private key in OpenSSH’s format`, {
      cause: error,
      hint: `Remove ${name}; the daemon makes it anew.`,
    });
  }
}

const magic = 'openssh-key-v1\0';
const keyPattern =
  /^-----BEGIN OPENSSH PRIVATE KEY-----\s([A-Za-z0-9+/=\s]+)-----END OPENSSH PRIVATE KEY-----\s*$/;

/** Raises for anything else, also for a key with a passphrase. */
function decodePrivateKey(text: string): PrivateKey {
  const blob = Buffer.from(keyPattern.exec(text)?.[1] ?? '', 'base64');
  if (blob.toString('latin1', 0, magic.length) !== magic) throw new SshFormatError('not a private key');
  const outer = new SshReader(blob.subarray(magic.length));
  const [cipher, kdf] = [outer.text(), outer.text(), outer.bytes()];
  if (cipher !== 'none' || kdf !== 'none' || outer.uint32() !== 1)
    throw new SshFormatError('the key has a passphrase');
  const publicKey = readPublicKey(outer.bytes());
  const inner = new SshReader(outer.bytes());
  outer.end();
  const [check, again] = [inner.uint32(), inner.uint32()];
  if (check !== again || inner.text() !== 'ssh-ed25519')
    throw new SshFormatError('the key is damaged, or not an Ed25519 key');
  const [point, pair] = [inner.bytes(), inner.bytes()];
  const x = point.toString('base64url');
  const d = pair.subarray(0, 32).toString('base64url');
  const secretKey = createPrivateKey({ key: { kty: 'OKP', crv: 'Ed25519', x, d }, format: 'jwk' });
  const { x: own } = secretKey.export({ format: 'jwk' });
  if (own !== x || !publicKey.key.equals(createPublicKey(secretKey)))
    throw new SshFormatError('the halves of the key do not belong together');
  return { publicKey, secretKey };
}
