/** Measures several subjects in turn, so that a change in the host's load affects all of them alike. */
import { orderOfRound } from './statistics.ts';

export interface Subject {
  readonly name: string;
  /** Takes one sample. */
  measure(signal: AbortSignal): Promise<number>;
}

export interface InterleaveOptions {
  readonly rounds: number;
  /** Rounds that are not counted: they fill caches, compile code and probe the engine. */
  readonly warmUps: number;
  readonly signal: AbortSignal;
  readonly onRound?: (round: number, samples: readonly number[]) => void;
}

/** Returns `rounds` samples per subject, in the order of the subjects. */
export async function interleave(
  subjects: readonly Subject[],
  options: InterleaveOptions,
): Promise<readonly (readonly number[])[]> {
  const samples: number[][] = subjects.map(() => []);
  for (let round = -options.warmUps; round < options.rounds; round += 1) {
    const taken: number[] = subjects.map(() => Number.NaN);
    for (const index of orderOfRound(round, subjects.length)) {
      options.signal.throwIfAborted();
      taken[index] = (await subjects[index]?.measure(options.signal)) ?? Number.NaN;
    }
    if (round < 0) continue;
    for (const [index, sample] of taken.entries()) samples[index]?.push(sample);
    options.onRound?.(round, taken);
  }
  return samples;
}
