/** Taking samples, and what is computed from them. */
import { invariant } from '../src/lib/invariant.ts';

/** The smallest sample that at least `percent` (above 0, at most 100) of all samples do not exceed: the nearest rank. */
export function percentile(samples: readonly number[], percent: number): number {
  invariant(percent > 0 && percent <= 100, `not a percentage: ${percent}`);
  const sorted = samples.toSorted((a, b) => a - b);
  const value = sorted[Math.ceil((percent / 100) * sorted.length) - 1];
  invariant(value !== undefined, 'there are no samples');
  return value;
}

/** The middle sample, or the mean of the two in the middle. */
export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.ceil(sorted.length / 2) - 1];
  invariant(upper !== undefined && lower !== undefined, 'there are no samples');
  return (lower + upper) / 2;
}

/** Each sample over the one that was taken in the same round. Both have one sample a round. */
export function pairwiseRatios(over: readonly number[], under: readonly number[]): readonly number[] {
  invariant(over.length === under.length, 'rounds are complete');
  return over.map((sample, index) => sample / (under[index] ?? Number.NaN));
}

/**
 * In which order `round` measures its `count` subjects: whoever is first in one round is last in the next, so that a
 * slow drift of the host, or what one subject leaves behind for the next, favours none.
 */
export function orderOfRound(round: number, count: number): readonly number[] {
  const order = Array.from({ length: count }, (_, index) => index);
  return round % 2 === 0 ? order : order.reverse();
}

/** How long `work` takes, in milliseconds. */
export async function timed(work: () => Promise<void>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}
