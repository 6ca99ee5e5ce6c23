/** Limits how many tasks run at once. */
export class QueueFullError extends Error {
  override readonly name = 'QueueFullError';
}

/** A semaphore: admits at most `count` holders, first come first served; at most `queueMax` wait. */
export class Limiter {
  readonly #queueMax: number;
  readonly #waiting: Array<() => void> = [];
  #free: number;

  constructor(count: number, queueMax: number) {
    this.#free = count;
    this.#queueMax = queueMax;
  }

  get isFull(): boolean {
    return this.#free === 0 && this.#waiting.length >= this.#queueMax;
  }

  /** Resolves with the release function; rejects with the signal's reason, or QueueFullError. */
  async acquire(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#free > 0) {
      this.#free -= 1;
      return this.#releaseOnce();
    }
    if (this.isFull) throw new QueueFullError(`the queue of ${this.#queueMax} is full`);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = () => {
      const index = this.#waiting.indexOf(resolve);
      if (index >= 0) this.#waiting.splice(index, 1);
      reject(signal.reason);
    };
    this.#waiting.push(resolve);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
    return this.#releaseOnce();
  }

  #releaseOnce(): () => void {
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    };
  }
}
