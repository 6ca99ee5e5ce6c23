/** Quotas as pure rules: which limit is the stricter one, and what exceeds it. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { growthOf, sizeOf } from './admission.ts';
import { findExcess, noLimits, type QuotaLimits, stricter } from './quota.ts';
import { keyTiers, limitsOfTier, mayGrant } from './tiers.ts';

const nothing = { machines: 0, vcpus: 0, memoryMib: 0, diskMib: 0 };
const small = { vcpuCount: 1, memoryMib: 128, diskMib: 256 };

test('the last free machine may be made, and no further one', () => {
  const limits = { ...noLimits, machines: 2 };
  expect(findExcess(limits, { ...nothing, machines: 1 }, sizeOf(small))).toBeNull();
  expect(findExcess(limits, { ...nothing, machines: 2 }, sizeOf(small))).toMatchObject({
    code: 'quota',
    message: 'Machine quota exceeded: 2 of 2 are used, and 1 more would exceed the limit',
    details: { resource: 'machines', used: 2, requested: 1, limit: 2 },
  });
});

test('what is not increased is not checked, even beyond the limit', () => {
  const limits: QuotaLimits = { machines: 1, vcpus: 1, memoryMib: 1, diskMib: 1 };
  const used = { machines: 9, vcpus: 9, memoryMib: 9, diskMib: 9 };
  const before = { vcpuCount: 2, memoryMib: 256, diskMib: 512 };
  expect(findExcess(limits, used, growthOf(before, { ...before, memoryMib: 128 }))).toBeNull();
  expect(findExcess(limits, used, growthOf(before, { ...before, diskMib: 513 }))).toMatchObject({
    details: { resource: 'disk_mib', requested: 1 },
  });
});

test('of two limits the lower one counts, and one of none', () => {
  const limit = fc.option(fc.nat(), { nil: null });
  const limits = fc.record({ machines: limit, vcpus: limit, memoryMib: limit, diskMib: limit });
  const usage = fc.record({ machines: fc.nat(), vcpus: fc.nat(), memoryMib: fc.nat(), diskMib: fc.nat() });
  fc.assert(
    fc.property(limits, limits, usage, usage, (a, b, used, added) => {
      const isRefused = (each: QuotaLimits) => findExcess(each, used, added) !== null;
      expect(isRefused(stricter(a, b))).toBe(isRefused(a) || isRefused(b));
    }),
  );
});

test('a key makes keys of its own tier or a lower one', () => {
  expect(keyTiers.filter((tier) => mayGrant('pro', tier))).toEqual(['free', 'pro']);
  expect([mayGrant('enterprise', null), mayGrant(null, null), mayGrant(null, 'free')]).toEqual([
    false,
    true,
    true,
  ]);
});

test('a tier limits only the number of machines', () => {
  expect(limitsOfTier('free')).toEqual({ ...noLimits, machines: 5 });
  expect([limitsOfTier('enterprise'), limitsOfTier(null)]).toEqual([noLimits, noLimits]);
});
