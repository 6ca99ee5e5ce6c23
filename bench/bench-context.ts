/** What every bench is given. */
export interface BenchContext {
  readonly env: NodeJS.ProcessEnv;
  /** Rounds; null: the bench's own number. */
  readonly samples: number | null;
  /** Without what takes minutes. */
  readonly isQuick: boolean;
  /** The image that machines start from. */
  readonly image: string;
  readonly signal: AbortSignal;
  /** A line for the person who waits. */
  say(line: string): void;
}
