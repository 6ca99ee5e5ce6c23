/** What a key's holder has: `hf_` and 32 characters. It is shown once and kept only as its digest. */
import { hash, randomInt } from 'node:crypto';

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const pattern = /^hf_[A-Za-z0-9]{32}$/;
/** `hf_` and eight more: the 24 characters that stay secret are 142 bits. */
const prefixLength = 11;

/** A new secret, of 190 bits. */
export function makeSecret(): string {
  return `hf_${Array.from({ length: 32 }, () => alphabet[randomInt(alphabet.length)]).join('')}`;
}

/** Whether a text could be a secret that was made here. */
export function isSecret(text: string): boolean {
  return pattern.test(text);
}

export function prefixOf(secret: string): string {
  return secret.slice(0, prefixLength);
}

/** SHA-256. No salt and no stretching: a secret is random, so there is nothing to guess. */
export function digestOf(secret: string): Buffer {
  return hash('sha256', secret, 'buffer');
}
