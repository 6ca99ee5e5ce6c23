/** Limits the open items per machine, because a host, a guest and its link have limits. */
import type { AppError } from '../errors.ts';
import type { Activity } from './activity.ts';

export class PerMachineLimit {
  readonly #max: number;
  readonly #full: (machineId: string) => AppError;
  readonly #activity: Activity | null;
  readonly #taken = new Map<string, number>();

  /**
   * `full` makes the error for a machine that has `max` items already. Items of a limit without `activity` are no use of
   * the machine.
   */
  constructor(activity: Activity | null, max: number, full: (machineId: string) => AppError) {
    this.#activity = activity;
    this.#max = max;
    this.#full = full;
  }

  /** Adds an item for the machine. Returns a function that releases it; calling it twice is safe. */
  take(machineId: string): () => void {
    const taken = this.#taken.get(machineId) ?? 0;
    if (taken >= this.#max) throw this.#full(machineId);
    this.#taken.set(machineId, taken + 1);
    const release = this.#activity?.hold(machineId);
    let isFree = false;
    return () => {
      if (!isFree) this.#free(machineId);
      isFree = true;
      release?.();
    };
  }

  #free(machineId: string): void {
    const left = (this.#taken.get(machineId) ?? 1) - 1;
    if (left > 0) this.#taken.set(machineId, left);
    else this.#taken.delete(machineId);
  }
}

/** An iterator that calls `end` when it is exhausted, fails or is left early, even before it was started. */
export function endingIterator<T>(iterable: AsyncIterable<T>, end: () => void): AsyncIterator<T> {
  // Written by hand, because a generator that was never started would not run its `finally`.
  const inner = iterable[Symbol.asyncIterator]();
  return {
    async next() {
      try {
        const result = await inner.next();
        if (result.done) end();
        return result;
      } catch (error) {
        end();
        throw error;
      }
    },
    async return() {
      end();
      await inner.return?.();
      return { done: true, value: undefined };
    },
  };
}
