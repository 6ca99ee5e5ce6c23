import { expect, test } from 'vitest';
import { newSecret, opensUntil, signToken } from './tokens.ts';

const lock = { id: 'r7k2m9x4c1qa', secret: newSecret() };
const now = Date.UTC(2030, 0, 1);

test('a token opens its own route until it expires', () => {
  const { token, expiresAt } = signToken(lock, now + 500);
  const until = now + 1_000;
  expect(Date.parse(expiresAt)).toBe(until);
  expect(opensUntil(lock, token, until - 1)).toBe(until);
  expect(opensUntil(lock, token, until)).toBeNull();
});

test('no other token opens it', () => {
  const { token } = signToken(lock, now + 1_000);
  const [, expiry = '', signed = ''] = token.split('.');
  const later = (Number.parseInt(expiry, 36) + 1).toString(36);
  const others = [
    signToken({ ...lock, id: 'another' }, now + 1_000).token,
    signToken({ ...lock, secret: newSecret() }, now + 1_000).token,
    `r1.${later}.${signed}`,
    `r1.${expiry}.${'A'.repeat(43)}`,
    `r1.${expiry}.`,
    `r1.${expiry}.${signed}x`,
    '',
    'r1',
  ];
  for (const other of others) expect(opensUntil(lock, other, now), other).toBeNull();
});
