/** The secret of a key: `hf_` and 32 characters. Shown once; only its digest is stored. */
import { hash, randomInt } from 'node:crypto';

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const pattern = /^hf_[A-Za-z0-9]{32}$/;
/** `hf_` and eight characters; the other 24 hold 142 bits. */
const prefixLength = 11;

/** Makes a secret with 190 random bits. */
export function makeSecret(): string {
  return `hf_${Array.from({ length: 32 }, () => alphabet[randomInt(alphabet.length)]).join('')}`;
}

/** Whether a text has the form of a secret. */
export function isSecret(text: string): boolean {
  return pattern.test(text);
}

export function prefixOf(secret: string): string {
  return secret.slice(0, prefixLength);
}

/** SHA-256 without salt or stretching: a random secret cannot be guessed. */
export function digestOf(secret: string): Buffer {
  return hash('sha256', secret, 'buffer');
}
