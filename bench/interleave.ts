/** Measures several subjects in turn, so that what the host does meanwhile befalls all of them alike. */
import { orderOfRound } from './statistics.ts';

export interface Subject {
  readonly name: string;
  /** One sample. */
  measure(signal: AbortSignal): Promise<number>;
}

export interface InterleaveOptions {
  readonly rounds: number;
  /** Rounds before the first that counts: caches fill, code is compiled, the host's engine is probed. */
  readonly warmUps: number;
  readonly signal: AbortSignal;
  readonly onRound?: (round: number, samples: readonly number[]) => void;
}

/** The samples of each subject, in the subjects' order; `rounds` each. */
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
