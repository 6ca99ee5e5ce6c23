/** What a bench says at its end. */
import { pairwiseRatios } from './statistics.ts';

export interface BenchResult {
  readonly name: string;
  readonly value: number;
  readonly unit: 'ratio' | 'ms' | 'requests/s' | 'MiB';
  /** One a round, in the order they were taken; `value` is computed from them. */
  readonly samples: readonly number[];
}

export interface BenchReport {
  readonly bench: string;
  readonly results: readonly BenchResult[];
}

/** A result of samples that were measured themselves. */
export function measured(
  name: string,
  unit: BenchResult['unit'],
  samples: readonly number[],
  summarize: (samples: readonly number[]) => number,
): BenchResult {
  return { name, value: rounded(summarize(samples)), unit, samples: samples.map(rounded) };
}

/**
 * One summary over the other; not the summary of the rounds' ratios, which one odd round of the lower side could lift.
 * The samples are the ratios of the rounds.
 */
export function ratio(
  name: string,
  over: readonly number[],
  under: readonly number[],
  summarize: (samples: readonly number[]) => number,
): BenchResult {
  return {
    name,
    value: rounded(summarize(over) / summarize(under)),
    unit: 'ratio',
    samples: pairwiseRatios(over, under).map(rounded),
  };
}

/** One result a line. */
export function formatReport({ bench, results }: BenchReport): string {
  const lines = results.map(
    ({ name, value, unit, samples }) =>
      `${name.padEnd(26)} ${String(value).padStart(12)} ${unit.padEnd(10)} ${samples.length} samples`,
  );
  return `${[`bench ${bench}`, ...lines].join('\n')}\n`;
}

/** Four digits behind the point: microseconds of a millisecond figure, and nothing a clock here could tell apart. */
function rounded(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}
