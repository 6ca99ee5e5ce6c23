/** A watcher of a key is notified of the key's end, even if it ended before the watch began. */
import { expect, test } from 'vitest';
import type { AppError } from '../errors.ts';
import type { Caller } from './caller.ts';
import { KeyEndings } from './endings.ts';

const now = new Date('2026-01-01T00:00:00Z');
const caller: Caller = {
  ...{ tenant: 'a', keyName: 'k', keyId: 'key1', tier: null, isOperator: false },
  ...{ expiresAt: null, scopes: ['*'] as const },
};

function watch(endings: KeyEndings, who: Caller = caller) {
  const reasons: string[] = [];
  const end = endings.watch(who, now, ({ message }: AppError) => reasons.push(message));
  return { reasons, end };
}

test('a revocation before the watch is reported at once', () => {
  const endings = new KeyEndings();
  endings.revoke('key1');
  expect(watch(endings).reasons).toEqual(['API key has been revoked']);
});

test('an expiry before the watch is reported at once', () => {
  const late = { ...caller, expiresAt: now.toISOString() };
  expect(watch(new KeyEndings(), late).reasons).toEqual(['API key has expired']);
});

test('a revocation during the watch is reported once, and not after the watch has ended', () => {
  const endings = new KeyEndings();
  const [kept, ended] = [watch(endings), watch(endings)];
  ended.end();
  endings.revoke('key1');
  endings.revoke('key1');
  kept.end();
  expect(kept.reasons).toEqual(['API key has been revoked']);
  expect(ended.reasons).toEqual([]);
});

test('the operator’s key never ends', () => {
  const endings = new KeyEndings();
  expect(watch(endings, { ...caller, keyId: null }).reasons).toEqual([]);
});
