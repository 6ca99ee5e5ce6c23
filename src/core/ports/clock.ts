/** Time as core sees it; core never calls Date.now or setTimeout itself. */
export interface Clock {
  now(): Date;
  /** Milliseconds since some moment in the past. Goes on evenly, whatever becomes of `now`: only differences mean anything. */
  elapsedMs(): number;
  /** Resolves after `ms`; rejects with the signal's reason when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `fn` every `ms` until the returned function is called; never overlaps itself. */
  every(ms: number, fn: () => void | Promise<void>): () => void;
}
