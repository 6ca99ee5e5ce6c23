/**
 * User certificates of OpenSSH (PROTOCOL.certkeys): made with the daemon's authority, and read and checked when a client
 * presents one. Pure but for the random nonce. A certificate names machines as its principals.
 */
import { createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto';
import { AppError } from '../errors.ts';
import { isSignedBy, readFields, readPublicKey, type SshPublicKey } from './public-key.ts';
import { SshFormatError, SshReader, sshString, sshUint32, sshUint64 } from './wire.ts';

const suffix = '-cert-v01@openssh.com';
const userType = 1;
const principalsMax = 64;
/** The extension with the id of the API key that a certificate was made with, and whose end ends it. */
export const keyExtension = 'key@flotilla';
const permits = ['permit-port-forwarding', 'permit-pty'];

export interface SshCertificate {
  /** The key that it certifies. */
  readonly key: SshPublicKey;
  readonly serial: bigint;
  /** 1 for users, 2 for hosts. */
  readonly kind: number;
  readonly keyId: string;
  readonly principals: readonly string[];
  /** Seconds since 1970; it is valid from the first and before the second. */
  readonly validAfter: bigint;
  readonly validBefore: bigint;
  readonly criticalOptions: readonly string[];
  readonly extensions: ReadonlyMap<string, Buffer>;
  readonly authority: SshPublicKey;
  readonly signedData: Buffer;
  readonly signature: Buffer;
}

export interface NewCertificate {
  readonly key: SshPublicKey;
  readonly serial: bigint;
  readonly keyId: string;
  readonly principals: readonly string[];
  readonly validAfter: number;
  readonly validBefore: number;
  /** Null: it ends with its time alone. */
  readonly apiKeyId: string | null;
}

/** Whether an algorithm's name, as a client sends it, is that of a certificate. */
export function isCertificateType(algorithm: string): boolean {
  return algorithm.endsWith(suffix);
}

/** Reads the bytes that a client presents. Raises `invalid`. */
export function readCertificate(blob: Uint8Array): SshCertificate {
  try {
    return read(new SshReader(blob), Buffer.from(blob));
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError('invalid', 'the certificate is damaged', { cause: error });
  }
}

function read(reader: SshReader, blob: Buffer): SshCertificate {
  const certificateType = reader.text();
  if (!isCertificateType(certificateType)) throw new SshFormatError('not a certificate');
  const type = certificateType.slice(0, -suffix.length);
  reader.bytes();
  const fieldsFrom = reader.offset;
  readFields(type, reader);
  const key = readPublicKey(Buffer.concat([sshString(type), blob.subarray(fieldsFrom, reader.offset)]));
  const serial = reader.uint64();
  const kind = reader.uint32();
  const keyId = reader.text();
  const principals = listOf(reader.bytes());
  const validAfter = reader.uint64();
  const validBefore = reader.uint64();
  const criticalOptions = [...pairsOf(reader.bytes()).keys()];
  const extensions = pairsOf(reader.bytes());
  reader.bytes();
  const authority = readPublicKey(reader.bytes());
  const signedData = blob.subarray(0, reader.offset);
  const signature = reader.bytes();
  reader.end();
  return {
    ...{ key, serial, kind, keyId, principals, validAfter, validBefore },
    ...{ criticalOptions, extensions, authority, signedData, signature },
  };
}

function listOf(data: Buffer): readonly string[] {
  const reader = new SshReader(data);
  const list: string[] = [];
  while (!reader.isAtEnd) {
    if (list.length === principalsMax) throw new SshFormatError('too many principals');
    list.push(reader.text());
  }
  return list;
}

/** A value is a string inside the string, or nothing. */
function pairsOf(data: Buffer): ReadonlyMap<string, Buffer> {
  const reader = new SshReader(data);
  const pairs = new Map<string, Buffer>();
  while (!reader.isAtEnd) {
    const name = reader.text();
    const packed = new SshReader(reader.bytes());
    pairs.set(name, packed.isAtEnd ? Buffer.alloc(0) : packed.bytes());
  }
  return pairs;
}

/** What makes certificates, and what says whether one is its own. */
export class CertificateAuthority {
  readonly #secretKey: KeyObject;
  readonly publicKey: SshPublicKey;

  /** Takes an Ed25519 private key. */
  constructor(secretKey: KeyObject) {
    this.#secretKey = secretKey;
    const { x = '' } = createPublicKey(secretKey).export({ format: 'jwk' });
    const point = Buffer.from(x, 'base64url');
    this.publicKey = readPublicKey(Buffer.concat([sshString('ssh-ed25519'), sshString(point)]));
  }

  /** Returns its bytes. */
  make(request: NewCertificate): Buffer {
    const { type, blob } = request.key;
    const extensions = [
      ...(request.apiKeyId === null ? [] : [sshString(keyExtension), sshString(sshString(request.apiKeyId))]),
      ...permits.flatMap((name) => [sshString(name), sshString('')]),
    ];
    const data = Buffer.concat([
      sshString(`${type}${suffix}`),
      sshString(randomBytes(32)),
      blob.subarray(sshString(type).length),
      sshUint64(request.serial),
      sshUint32(userType),
      sshString(request.keyId),
      sshString(Buffer.concat(request.principals.map(sshString))),
      sshUint64(BigInt(request.validAfter)),
      sshUint64(BigInt(request.validBefore)),
      sshString(''),
      sshString(Buffer.concat(extensions)),
      sshString(''),
      sshString(this.publicKey.blob),
    ]);
    const signature = [sshString('ssh-ed25519'), sshString(sign(null, data, this.#secretKey))];
    return Buffer.concat([data, sshString(Buffer.concat(signature))]);
  }

  /** Raises `unauthenticated` with the reason, which is for the log. */
  check(certificate: SshCertificate, now: Date): void {
    const reason = this.#fault(certificate, BigInt(Math.floor(now.getTime() / 1000)));
    if (reason !== null) throw new AppError('unauthenticated', `the certificate ${reason}`);
  }

  #fault(certificate: SshCertificate, now: bigint): string | null {
    const { authority, signedData, signature, kind, principals, criticalOptions } = certificate;
    if (!authority.blob.equals(this.publicKey.blob)) return 'is of another authority';
    if (!isSignedBy(this.publicKey, signedData, signature)) return 'is not signed by its authority';
    if (kind !== userType) return 'is not for users';
    // OpenSSH takes a certificate without principals for one that is good everywhere.
    if (principals.length === 0) return 'names no machine';
    const [option] = criticalOptions;
    if (option !== undefined) return `demands '${option}', which is not supported`;
    if (now < certificate.validAfter) return 'is not valid yet';
    if (now >= certificate.validBefore) return 'has expired';
    return null;
  }
}
