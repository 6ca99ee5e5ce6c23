/** What the command line says and exits with when a command in a machine has ended, or when nobody can tell. */
import type { ExecOutcome } from '../sdk/src/index.ts';
import type { Context } from './context.ts';
import { exitCodes } from './exit-codes.ts';

/** Notes what is not said by the exit code alone, and gives that code. `timeout`: the command's, in seconds, if it is known. */
export function settle(context: Context, outcome: ExecOutcome, timeout?: number): number {
  switch (outcome.outcome) {
    case 'exited':
    case 'signalled':
      return outcome.exit_code;
    case 'timed_out':
      context.note(
        `the command was killed after ${timeout === undefined ? 'its timeout' : `${timeout} s`}`,
        'error',
      );
      context.note('--timeout allows more', 'hint');
      return exitCodes.timedOut;
    case 'unknown':
      context.note(`the command’s outcome is unknown: ${outcome.reason}`, 'error');
      if (outcome.connection_lost) context.note(whereDaemonIs(context), 'hint');
      return exitCodes.infrastructure;
  }
}

export function whereDaemonIs({ config }: Context): string {
  return config.isLocal
    ? 'is the daemon running? flotilla doctor tells'
    : `is the daemon at ${config.url} running, and the network fine?`;
}
