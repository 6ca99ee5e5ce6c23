/** Limits the commands that run in each machine at once, because a guest and its link have limits. */
import { AppError } from '../errors.ts';
import type { ExecEvent, ExecSession } from '../ports/guest.ts';
import type { Activity } from './activity.ts';
import { endingIterator, PerMachineLimit } from './per-machine-limit.ts';

/** Commands allowed to run in one machine at once. */
export const execsPerMachineMax = 128;

export class ExecLimit {
  readonly #limit: PerMachineLimit;

  constructor(activity: Activity) {
    this.#limit = new PerMachineLimit(
      activity,
      execsPerMachineMax,
      (machineId) =>
        new AppError('exhausted', `machine ${machineId} runs ${execsPerMachineMax} commands already`, {
          hint: 'Wait for one to end.',
        }),
    );
  }

  /** Starts a command that holds a slot until its session ends. Raises `exhausted`. */
  hold(machineId: string, start: () => Promise<ExecSession>): Promise<ExecSession> {
    return this.holdAs<ExecEvent, ExecSession>(machineId, start, (session, iterate) => ({
      kill: (signal) => session.kill(signal),
      [Symbol.asyncIterator]: iterate,
    }));
  }

  /** The same for another kind of session: `wrap` makes one that iterates differently. */
  async holdAs<Event, Session extends AsyncIterable<Event>>(
    machineId: string,
    start: () => Promise<Session>,
    wrap: (session: Session, iterate: () => AsyncIterator<Event>) => Session,
  ): Promise<Session> {
    const free = this.#limit.take(machineId);
    try {
      const session = await start();
      return wrap(session, () => endingIterator<Event>(session, free));
    } catch (error) {
      free();
      throw error;
    }
  }
}
