/** The exit codes of the command line. `run` and `exec` exit with the code of the command that they ran. */
import { constants } from 'node:os';

export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  /** The command's timeout passed (as `timeout` of coreutils says it). */
  timedOut: 124,
  /** `run` and `exec`: something other than the command failed, or nobody knows how it ended. */
  infrastructure: 125,
} as const;

/** 128 + the number of a signal that this process gets, as shells have it. */
export function exitCodeOfSignal(name: 'INT' | 'TERM' | 'HUP' | 'PIPE'): number {
  return 128 + constants.signals[`SIG${name}`];
}
