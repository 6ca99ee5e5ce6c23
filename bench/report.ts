/** The report that a bench prints at its end. */
import { pairwiseRatios } from './statistics.ts';

export interface BenchResult {
  readonly name: string;
  readonly value: number;
  readonly unit: 'ratio' | 'ms' | 'requests/s' | 'MiB/s' | 'MiB' | 'machines' | 'percent';
  /** One sample per round, in order; `value` is computed from them. */
  readonly samples: readonly number[];
}

export interface BenchReport {
  readonly bench: string;
  readonly results: readonly BenchResult[];
}

/** Makes a result from samples. */
export function measured(
  name: string,
  unit: BenchResult['unit'],
  samples: readonly number[],
  summarize: (samples: readonly number[]) => number,
): BenchResult {
  return { name, value: rounded(summarize(samples)), unit, samples: samples.map(rounded) };
}

/**
 * Divides one summary by the other. Not the summary of the rounds' ratios: one low outlier in a divisor would
 * raise that. The samples are the ratios of the rounds.
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

/** Formats one result per line. */
export function formatReport({ bench, results }: BenchReport): string {
  const lines = results.map(
    ({ name, value, unit, samples }) =>
      `${name.padEnd(26)} ${String(value).padStart(12)} ${unit.padEnd(10)} ${samples.length} samples`,
  );
  return `${[`bench ${bench}`, ...lines].join('\n')}\n`;
}

/**
 * Rounds to four decimals: a figure in milliseconds then shows tenths of microseconds, finer than the clock.
 */
function rounded(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}
