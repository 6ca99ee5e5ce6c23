/** Random ids that are valid in DNS labels, paths and unix socket names. */
import { randomInt } from 'node:crypto';

const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789';

/** 12 characters of [a-z0-9]: 62 bits of randomness. */
export function shortId(): string {
  return Array.from({ length: 12 }, () => alphabet[randomInt(alphabet.length)]).join('');
}
