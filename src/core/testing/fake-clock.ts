/** A clock that only advances on request. */
import type { Clock } from '../ports/clock.ts';

interface Sleeper {
  readonly untilMs: number;
  wake(): void;
}

export class FakeClock implements Clock {
  #nowMs: number;
  #elapsedMs = 0;
  readonly #sleepers = new Set<Sleeper>();

  constructor(start = '2026-01-01T00:00:00.000Z') {
    this.#nowMs = Date.parse(start);
  }

  now(): Date {
    return new Date(this.#nowMs);
  }

  elapsedMs(): number {
    return this.#elapsedMs;
  }

  /** Advances time. */
  advance(ms: number): void {
    this.#nowMs += ms;
    this.#elapsedMs += ms;
    for (const sleeper of [...this.#sleepers]) if (sleeper.untilMs <= this.#elapsedMs) sleeper.wake();
  }

  /** Sets the wall clock forwards or backwards without advancing time. */
  set(ms: number): void {
    this.#nowMs += ms;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const sleeper = { untilMs: this.#elapsedMs + ms, wake: resolve };
    const onAbort = () => reject(signal?.reason);
    this.#sleepers.add(sleeper);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      await promise;
    } finally {
      this.#sleepers.delete(sleeper);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  every(ms: number, fn: () => void | Promise<void>): () => void {
    const stopped = new AbortController();
    const run = async () => {
      for (;;) {
        await this.sleep(ms, stopped.signal);
        await fn();
      }
    };
    run().catch((error: unknown) => {
      if (error !== stopped.signal.reason) throw error;
    });
    return () => stopped.abort();
  }
}
