/** Counts what is open for each machine, so that no caller can have more than a host, a guest and its link can bear. */
import type { AppError } from '../errors.ts';

export class PerMachineLimit {
  readonly #max: number;
  readonly #full: (machineId: string) => AppError;
  readonly #taken = new Map<string, number>();

  /** `full` makes the error that is raised when a machine has `max` already. */
  constructor(max: number, full: (machineId: string) => AppError) {
    this.#max = max;
    this.#full = full;
  }

  /** Counts one more for the machine. Returns the function that counts it off; calling it twice is safe. */
  take(machineId: string): () => void {
    const taken = this.#taken.get(machineId) ?? 0;
    if (taken >= this.#max) throw this.#full(machineId);
    this.#taken.set(machineId, taken + 1);
    let isFree = false;
    return () => {
      if (!isFree) this.#free(machineId);
      isFree = true;
    };
  }

  #free(machineId: string): void {
    const left = (this.#taken.get(machineId) ?? 1) - 1;
    if (left > 0) this.#taken.set(machineId, left);
    else this.#taken.delete(machineId);
  }
}

/** An iterator that calls `end` when it was iterated to its end, failed or was left early, even before it was begun. */
export function endingIterator<T>(iterable: AsyncIterable<T>, end: () => void): AsyncIterator<T> {
  // By hand, since a generator that was never begun would not run its `finally`.
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
