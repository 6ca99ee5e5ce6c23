/** At most so many in a window of time; for what a stranger can cause as often as he likes, such as lines in a log. */
export interface RateLimitOptions {
  readonly countMax: number;
  readonly windowMs: number;
}

export class RateLimit {
  readonly #options: RateLimitOptions;
  #windowBeganMs = Number.NEGATIVE_INFINITY;
  #count = 0;
  #dropped = 0;

  constructor(options: RateLimitOptions) {
    this.#options = options;
  }

  /** Takes one. Null: too many. Otherwise how many were refused since the last one that was granted. */
  take(nowMs: number): number | null {
    const { countMax, windowMs } = this.#options;
    if (nowMs - this.#windowBeganMs >= windowMs) {
      this.#windowBeganMs = nowMs;
      this.#count = 0;
    }
    if (this.#count >= countMax) {
      this.#dropped += 1;
      return null;
    }
    this.#count += 1;
    const dropped = this.#dropped;
    this.#dropped = 0;
    return dropped;
  }
}
