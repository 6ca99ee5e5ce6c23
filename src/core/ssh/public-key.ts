/**
 * Public keys of SSH: read from a line of an `authorized_keys` file or from the bytes a client sends, checked, and used to
 * verify signatures. Called by the services of SSH keys and certificates. Accepts Ed25519, ECDSA on the NIST curves, and
 * RSA from 2048 bits; never SHA-1.
 */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { AppError } from '../errors.ts';
import { fingerprintOf } from './ssh-key.ts';
import { SshFormatError, SshReader } from './wire.ts';

export const rsaBitsMin = 2048;
/** Longer keys only cost time. */
const rsaBitsMax = 16_384;
/** A line with an RSA key of 16,384 bits and a comment fits. */
export const publicKeyCharactersMax = 8192;
const commentCharactersMax = 256;

export interface SshPublicKey {
  /** For example `ssh-ed25519`. */
  readonly type: string;
  /** As SSH sends it; begins with the type. */
  readonly blob: Buffer;
  /** See `fingerprintOf`. */
  readonly fingerprint: string;
  readonly key: KeyObject;
}

const curves: Readonly<
  Record<string, { readonly crv: string; readonly bytes: number; readonly hash: string }>
> = {
  nistp256: { crv: 'P-256', bytes: 32, hash: 'sha256' },
  nistp384: { crv: 'P-384', bytes: 48, hash: 'sha384' },
  nistp521: { crv: 'P-521', bytes: 66, hash: 'sha512' },
};
const rsaHashes: Readonly<Record<string, string>> = { 'rsa-sha2-256': 'sha256', 'rsa-sha2-512': 'sha512' };
const whatToGive = 'Give the content of a file such as ~/.ssh/id_ed25519.pub.';
const otherTypes = /^(?:ssh-|ecdsa-|sk-|rsa-sha2-)\S+$/;

/** Reads `TYPE BASE64 [COMMENT]`. Raises `invalid` in words that say what to give instead. */
export function parsePublicKey(text: string): SshPublicKey & { readonly comment: string } {
  const line = text.trim();
  if (/PRIVATE KEY/.test(line)) {
    throw invalid(
      'this is a private key, which must never leave its owner',
      'Give the file that ends in .pub.',
    );
  }
  if (line.length > publicKeyCharactersMax) {
    throw invalid(`a public key has at most ${publicKeyCharactersMax} characters`);
  }
  if (/[\r\n\0]/.test(line)) throw invalid('a public key is one line', 'Register several keys one by one.');
  const [, type = '', base64 = '', comment = ''] =
    /^(\S+)[ \t]+([A-Za-z0-9+/]+={0,2})(?:[ \t]+(.*))?$/.exec(line) ?? [];
  if (type === '') throw invalid('this is not a public key', 'It has the form: ssh-ed25519 AAAA… comment');
  if (!otherTypes.test(type)) {
    throw invalid(
      `'${type.slice(0, 64)}' is not a type of public key`,
      'Give the key without options before it.',
    );
  }
  const key = readPublicKey(Buffer.from(base64, 'base64'));
  if (key.type !== type) throw invalid(`the key says that it is ${key.type}, but the line says ${type}`);
  return { ...key, comment: comment.trim().slice(0, commentCharactersMax) };
}

/** Reads a key as SSH sends it. Raises `invalid`. */
export function readPublicKey(blob: Uint8Array): SshPublicKey {
  try {
    const reader = new SshReader(blob);
    const type = reader.text();
    const key = readFields(type, reader);
    reader.end();
    return { type, blob: Buffer.from(blob), fingerprint: fingerprintOf(blob), key };
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError('invalid', 'the public key is damaged', { cause: error, hint: whatToGive });
  }
}

/** Reads what follows the type; for certificates, whose fields are in the midst of others. */
export function readFields(type: string, reader: SshReader): KeyObject {
  if (type === 'ssh-ed25519') {
    const point = reader.bytes();
    if (point.length !== 32) throw new SshFormatError('a point of Ed25519 has 32 bytes');
    return fromJwk({ kty: 'OKP', crv: 'Ed25519', x: point.toString('base64url') });
  }
  if (type === 'ssh-rsa') return readRsa(reader);
  const [, name = ''] = /^ecdsa-sha2-(\w+)$/.exec(type) ?? [];
  const curve = Object.hasOwn(curves, name) ? curves[name] : undefined;
  if (curve !== undefined) return readEcdsa(name, curve, reader);
  throw unsupportedType(type);
}

function readRsa(reader: SshReader): KeyObject {
  const exponent = reader.bytes();
  const modulus = reader.bytes();
  const key = fromJwk({ kty: 'RSA', e: exponent.toString('base64url'), n: modulus.toString('base64url') });
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits < rsaBitsMin) {
    throw invalid(
      `an RSA key needs ${rsaBitsMin} bits, this one has ${bits}`,
      'Make a new one: ssh-keygen -t ed25519',
    );
  }
  if (bits > rsaBitsMax) throw invalid(`an RSA key has at most ${rsaBitsMax} bits`);
  return key;
}

function readEcdsa(
  name: string,
  { crv, bytes }: { readonly crv: string; readonly bytes: number },
  reader: SshReader,
): KeyObject {
  if (reader.text() !== name) throw new SshFormatError('the curve differs from the type');
  const point = reader.bytes();
  if (point.length !== 1 + 2 * bytes || point[0] !== 4) throw new SshFormatError('not an uncompressed point');
  const x = point.subarray(1, 1 + bytes).toString('base64url');
  return fromJwk({ kty: 'EC', crv, x, y: point.subarray(1 + bytes).toString('base64url') });
}

/** Also checks that a point is on its curve. */
function fromJwk(key: Record<string, string>): KeyObject {
  return createPublicKey({ key, format: 'jwk' });
}

/** The line for `authorized_keys` and for the API. */
export function publicKeyLine({ type, blob }: Pick<SshPublicKey, 'type' | 'blob'>, comment = ''): string {
  return `${type} ${blob.toString('base64')}${comment === '' ? '' : ` ${comment}`}`;
}

/** Whether `signature`, in the form that SSH sends, is the key's over `data`. False for SHA-1 and for anything malformed. */
export function isSignedBy({ type, key }: SshPublicKey, data: Uint8Array, signature: Uint8Array): boolean {
  try {
    const reader = new SshReader(signature);
    const algorithm = reader.text();
    const value = reader.bytes();
    reader.end();
    return isValueSignedBy({ type, key }, algorithm, data, isEcdsa(type) ? derOf(value) : value);
  } catch {
    return false;
  }
}

/** As `isSignedBy`, for a signature without its frame; ECDSA's in ASN.1. */
export function isValueSignedBy(
  { type, key }: Pick<SshPublicKey, 'type' | 'key'>,
  algorithm: string,
  data: Uint8Array,
  value: Uint8Array,
): boolean {
  const digest = digestFor(type, algorithm);
  if (digest === undefined) return false;
  try {
    return verify(digest, data, key, value);
  } catch {
    return false;
  }
}

/** Undefined: the algorithm does not belong to the key. Null: Ed25519 hashes by itself. */
function digestFor(type: string, algorithm: string): string | null | undefined {
  if (type === 'ssh-rsa') return Object.hasOwn(rsaHashes, algorithm) ? rsaHashes[algorithm] : undefined;
  if (type !== algorithm) return undefined;
  return isEcdsa(type) ? curves[type.slice('ecdsa-sha2-'.length)]?.hash : null;
}

function isEcdsa(type: string): boolean {
  return type.startsWith('ecdsa-sha2-');
}

/** SSH writes the two numbers as strings, OpenSSL wants a SEQUENCE of two INTEGERs. */
function derOf(value: Uint8Array): Buffer {
  const reader = new SshReader(value);
  const numbers = Buffer.concat(
    [reader.bytes(), reader.bytes()].flatMap((each) => [derHead(2, each.length), each]),
  );
  reader.end();
  return Buffer.concat([derHead(0x30, numbers.length), numbers]);
}

function derHead(tag: number, length: number): Buffer {
  if (length > 255) throw new SshFormatError('a number of a signature is too long');
  return Buffer.from(length < 128 ? [tag, length] : [tag, 0x81, length]);
}

function unsupportedType(type: string): AppError {
  const shown = type.slice(0, 64);
  if (shown === 'ssh-dss') return invalid('DSA keys are too weak', 'Make a new one: ssh-keygen -t ed25519');
  if (shown.startsWith('sk-')) {
    return invalid('keys on security tokens are not supported', 'Make another one: ssh-keygen -t ed25519');
  }
  if (shown.includes('-cert-')) return invalid('this is a certificate', 'Give the public key itself.');
  return invalid(`keys of type '${shown}' are not supported`, 'Make a new one: ssh-keygen -t ed25519');
}

function invalid(message: string, hint: string = whatToGive): AppError {
  return new AppError('invalid', message, { hint });
}
