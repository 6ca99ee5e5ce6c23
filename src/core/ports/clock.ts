/** Time for core, which never calls Date.now or setTimeout itself. */
export interface Clock {
  now(): Date;
  /**
   * Monotonic milliseconds since an arbitrary moment, unaffected by changes of `now`; only differences are
   * meaningful.
   */
  elapsedMs(): number;
  /** Resolves after `ms`; rejects with the signal's reason when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `fn` every `ms` until the returned function is called; calls never overlap. */
  every(ms: number, fn: () => void | Promise<void>): () => void;
}
