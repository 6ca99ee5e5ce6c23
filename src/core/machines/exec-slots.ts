/** Counts the commands that run in each machine, so that no caller can have more than a guest and its link can bear. */
import { AppError } from '../errors.ts';
import type { ExecSession } from '../ports/guest.ts';
import { endingIterator, Slots } from './slots.ts';

/** Commands that may run in one machine at once. */
export const execsPerMachineMax = 128;

export class ExecSlots {
  readonly #slots = new Slots(
    execsPerMachineMax,
    (machineId) =>
      new AppError('exhausted', `machine ${machineId} runs ${execsPerMachineMax} commands already`, {
        hint: 'Wait for one to end.',
      }),
  );

  /** Starts a command in a slot of the machine, which is free again when its session ends. Raises `exhausted`. */
  async hold(machineId: string, start: () => Promise<ExecSession>): Promise<ExecSession> {
    const free = this.#slots.take(machineId);
    try {
      const session = await start();
      return {
        kill: (signal) => session.kill(signal),
        [Symbol.asyncIterator]: () => endingIterator(session, free),
      };
    } catch (error) {
      free();
      throw error;
    }
  }
}
