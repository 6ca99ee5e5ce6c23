/** A registered public key of SSH, and how keys are named. */
import { hash } from 'node:crypto';

/** Whoever holds its private half enters the tenant's machines. */
export interface SshKey {
  readonly id: string;
  readonly tenant: string;
  /** For people; unique within the tenant. */
  readonly name: string;
  /** Type and base64, without a comment. */
  readonly publicKey: string;
  /** See SshPublicKey. */
  readonly fingerprint: string;
  /**
   * Id of the API key that registered it: it has that key's rights and ends with it. Null: registered by the operator, and
   * good until it is deleted.
   */
  readonly createdBy: string | null;
  readonly createdAt: string;
}

/** `SHA256:` and 43 characters, as `ssh-keygen -l` prints it, of a key as SSH sends it. */
export function fingerprintOf(blob: Uint8Array): string {
  return `SHA256:${hash('sha256', blob, 'base64').replace(/=+$/, '')}`;
}

/** Of checked lines for `authorized_keys`. */
export function fingerprintsOf(lines: readonly string[]): readonly string[] {
  return lines.map((line) => fingerprintOf(Buffer.from(line.split(' ')[1] ?? '', 'base64')));
}
