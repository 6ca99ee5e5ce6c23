/** Requests per minute: what a tier allows at once, how it refills, and who shares a budget. */
import { expect, test } from 'vitest';
import { Rates } from './rates.ts';

const caller = (tenant: string, tier: 'free' | 'pro' | 'enterprise' | null) => ({ tenant, tier });

function setUp() {
  let now = 0;
  const rates = new Rates(() => now);
  const takeAll = (who: ReturnType<typeof caller>) => {
    let count = 0;
    for (; count < 10_000; count += 1) {
      try {
        rates.take(who);
      } catch {
        return count;
      }
    }
    return count;
  };
  const pass = (ms: number) => {
    now += ms;
  };
  return { rates, takeAll, pass };
}

test('a tier allows its requests at once, then one as the budget refills', () => {
  const { rates, takeAll, pass } = setUp();
  expect(takeAll(caller('a', 'free'))).toBe(60);
  pass(999);
  expect(() => rates.take(caller('a', 'free'))).toThrow(expect.objectContaining({ code: 'rate_limited' }));
  pass(1);
  expect(rates.take(caller('a', 'free'))).toEqual({ limit: 60, remaining: 0, resetS: 60 });
  pass(60_000);
  expect(takeAll(caller('a', 'free'))).toBe(60);
});

test('a refusal says when to try again', () => {
  const { rates, takeAll } = setUp();
  takeAll(caller('a', 'free'));
  expect(() => rates.take(caller('a', 'free'))).toThrow(
    expect.objectContaining({ details: { limit: 60, tier: 'free', retryAfterS: 1 } }),
  );
});

test('tenants and tiers have budgets of their own', () => {
  const { takeAll } = setUp();
  expect(takeAll(caller('a', 'free'))).toBe(60);
  expect(takeAll(caller('b', 'free'))).toBe(60);
  expect(takeAll(caller('a', 'pro'))).toBe(600);
});

test('the highest tier, and a key without a tier, have no limit', () => {
  const { rates } = setUp();
  expect([rates.take(caller('a', 'enterprise')), rates.take(caller('a', null))]).toEqual([null, null]);
});
