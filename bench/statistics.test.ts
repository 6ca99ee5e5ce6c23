import { describe, expect, it } from 'vitest';
import { median, orderOfRound, pairwiseRatios, percentile } from './statistics.ts';

describe('median', () => {
  it('is the middle sample, whatever the order', () => expect(median([9, 1, 5])).toBe(5));
  it('is the mean of the two in the middle', () => expect(median([4, 1, 2, 100])).toBe(3));
  it('leaves the samples as they were', () => {
    const samples = [3, 1, 2];
    median(samples);
    expect(samples).toEqual([3, 1, 2]);
  });
  it('sorts numbers as numbers', () => expect(median([10, 9, 100])).toBe(10));
  it('refuses an empty list of samples', () => expect(() => median([])).toThrow('no samples'));
});

describe('percentile', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
  it.each([
    [1, 1],
    [50, 50],
    [99, 99],
    [100, 100],
  ])('percentile %d of a hundred samples is the sample of that rank', (percent, value) => {
    expect(percentile(hundred, percent)).toBe(value);
  });
  it('is always one of the samples, never interpolated', () => expect(percentile([1, 10], 51)).toBe(10));
  it('is the only sample there is', () => expect(percentile([7], 99)).toBe(7));
  it('refuses a number that is not a percentage', () => {
    for (const percent of [0, -1, 101, Number.NaN]) expect(() => percentile([1], percent)).toThrow();
  });
});

describe('pairwiseRatios', () => {
  it('divides each sample by the one of the same round', () => {
    expect(pairwiseRatios([2, 9], [1, 3])).toEqual([2, 3]);
  });
  it('refuses incomplete rounds', () => expect(() => pairwiseRatios([1], [])).toThrow());
});

describe('orderOfRound', () => {
  it('reverses the order each round', () => {
    expect([0, 1, 2].map((round) => orderOfRound(round, 3))).toEqual([
      [0, 1, 2],
      [2, 1, 0],
      [0, 1, 2],
    ]);
  });
});
