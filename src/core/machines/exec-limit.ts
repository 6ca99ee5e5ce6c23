/** Limits the commands that run in each machine at once, because a guest and its link have limits. */
import { AppError } from '../errors.ts';
import type { ExecSession } from '../ports/guest.ts';
import { endingIterator, PerMachineLimit } from './per-machine-limit.ts';

/** Commands allowed to run in one machine at once. */
export const execsPerMachineMax = 128;

export class ExecLimit {
  readonly #limit = new PerMachineLimit(
    execsPerMachineMax,
    (machineId) =>
      new AppError('exhausted', `machine ${machineId} runs ${execsPerMachineMax} commands already`, {
        hint: 'Wait for one to end.',
      }),
  );

  /** Starts a command that holds a slot until its session ends. Raises `exhausted`. */
  async hold(machineId: string, start: () => Promise<ExecSession>): Promise<ExecSession> {
    const free = this.#limit.take(machineId);
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
