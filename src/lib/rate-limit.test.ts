import { expect, test } from 'vitest';
import { RateLimit } from './rate-limit.ts';

test('grants so many in each window and says how many it refused', () => {
  const limit = new RateLimit({ countMax: 2, windowMs: 100 });
  expect([0, 10, 20, 99].map((now) => limit.take(now))).toEqual([0, 0, null, null]);
  expect([100, 150, 199].map((now) => limit.take(now))).toEqual([2, 0, null]);
  expect(limit.take(500)).toBe(1);
});
