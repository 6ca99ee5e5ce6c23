/** What every bench is given. */
export interface BenchContext {
  readonly env: NodeJS.ProcessEnv;
  /** Number of rounds; null: the bench's default. */
  readonly samples: number | null;
  /** Skips the parts that take minutes. */
  readonly isQuick: boolean;
  /** Image that the machines start from. */
  readonly image: string;
  readonly signal: AbortSignal;
  /** Prints a progress line. */
  say(line: string): void;
}
