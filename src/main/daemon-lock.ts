/**
 * Ensures one daemon per state directory, with flock(2) on a file in it. The lock belongs to the open file,
 * which only this process holds: the kernel releases it when the process ends for any reason, and it is the
 * same lock for every container and path of the directory.
 */
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError } from '../core/errors.ts';
import { ProcessError, run } from '../lib/process.ts';

const flockTimeoutMs = 5_000;
/** The lock file's descriptor in the program that locks it; the lock stays with our open file. */
const inheritedFd = 3;

/**
 * Exit code of `serve` when another daemon runs on the state directory; whoever started both then waits for
 * the other.
 */
export const alreadyRunningExitCode = 3;

export class AlreadyRunning extends AppError {
  constructor(stateDir: string, cause: unknown) {
    super('conflict', `another daemon already runs on ${stateDir}`, {
      cause,
      hint: 'Stop it with ./flotilla down, or set FLOTILLA_STATE_DIR to another directory.',
    });
  }
}

/** Raises AlreadyRunning when another daemon holds the lock. Returns a function that releases it. */
export async function lockStateDirectory(lockFile: string): Promise<() => Promise<void>> {
  const file = await open(lockFile, 'a', 0o600);
  try {
    await run('flock', ['--nonblock', '--exclusive', String(inheritedFd)], {
      timeoutMs: flockTimeoutMs,
      inheritFd: file.fd,
    });
  } catch (error) {
    await file.close();
    if (!(error instanceof ProcessError) || error.exitCode !== 1) throw error;
    throw new AlreadyRunning(dirname(lockFile), error);
  }
  return () => file.close();
}
