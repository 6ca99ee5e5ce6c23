/** Statistics of samples: percentile, median, ratios; and the order in which to take samples. */
import { invariant } from '../src/lib/invariant.ts';

/**
 * Nearest-rank percentile: the smallest sample that is >= `percent` (above 0, at most 100) of all samples.
 */
export function percentile(samples: readonly number[], percent: number): number {
  invariant(percent > 0 && percent <= 100, `not a percentage: ${percent}`);
  const sorted = samples.toSorted((a, b) => a - b);
  const value = sorted[Math.ceil((percent / 100) * sorted.length) - 1];
  invariant(value !== undefined, 'there are no samples');
  return value;
}

/** The middle sample, or the mean of the two middle ones. */
export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.ceil(sorted.length / 2) - 1];
  invariant(upper !== undefined && lower !== undefined, 'there are no samples');
  return (lower + upper) / 2;
}

/** Divides each sample by the one taken in the same round. Both lists have one sample per round. */
export function pairwiseRatios(over: readonly number[], under: readonly number[]): readonly number[] {
  invariant(over.length === under.length, 'both lists have one sample per round');
  return over.map((sample, index) => sample / (under[index] ?? Number.NaN));
}

/**
 * The order in which `round` measures its `count` subjects. It is reversed each round, so that neither a slow
 * drift of the host nor the after-effects of one subject favour another.
 */
export function orderOfRound(round: number, count: number): readonly number[] {
  const order = Array.from({ length: count }, (_, index) => index);
  return round % 2 === 0 ? order : order.reverse();
}

/** Measures how long `work` takes, in milliseconds. */
export async function timed(work: () => Promise<void>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}
