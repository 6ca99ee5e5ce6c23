/** Counts the commands that run in each machine, so that no caller can have more than a guest and its link can bear. */
import { AppError } from '../errors.ts';
import type { ExecSession } from '../ports/guest.ts';

/** Commands that may run in one machine at once. */
export const execsPerMachineMax = 128;

export class ExecSlots {
  readonly #taken = new Map<string, number>();

  /** Starts a command in a slot of the machine, which is free again when its session ends. Raises `exhausted`. */
  async hold(machineId: string, start: () => Promise<ExecSession>): Promise<ExecSession> {
    const taken = this.#taken.get(machineId) ?? 0;
    if (taken >= execsPerMachineMax) {
      throw new AppError('exhausted', `machine ${machineId} runs ${execsPerMachineMax} commands already`, {
        hint: 'Wait for one to end.',
      });
    }
    this.#taken.set(machineId, taken + 1);
    try {
      return onEnd(await start(), () => this.#free(machineId));
    } catch (error) {
      this.#free(machineId);
      throw error;
    }
  }

  #free(machineId: string): void {
    const left = (this.#taken.get(machineId) ?? 1) - 1;
    if (left > 0) this.#taken.set(machineId, left);
    else this.#taken.delete(machineId);
  }
}

/** The session, telling once when it was iterated to its end or left early. */
function onEnd(session: ExecSession, ended: () => void): ExecSession {
  let hasEnded = false;
  const end = () => {
    if (!hasEnded) ended();
    hasEnded = true;
  };
  return {
    kill: (signal) => session.kill(signal),
    // By hand, since a generator that was never begun would not run its `finally`.
    [Symbol.asyncIterator]() {
      const inner = session[Symbol.asyncIterator]();
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
    },
  };
}
