/**
 * One daemon for each state directory, by flock(2) on a file in it. The lock belongs to the open file, which only this
 * process holds: it is gone the moment the process is, however that ended, and it is the same lock for every container and
 * every name the directory has.
 */
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError } from '../core/errors.ts';
import { ProcessError, run } from '../lib/process.ts';

const flockTimeoutMs = 5_000;
/** Where the lock's file is in the program that takes it: what is locked there stays locked here. */
const inheritedFd = 3;

/** What `serve` exits with when another daemon runs on the state directory; whoever started both then waits for that one. */
export const alreadyRunningExitCode = 3;

export class AlreadyRunning extends AppError {
  constructor(stateDir: string, cause: unknown) {
    super('conflict', `another daemon already runs on ${stateDir}`, {
      cause,
      hint: 'Stop it with ./flotilla down, or set FLOTILLA_STATE_DIR to another directory.',
    });
  }
}

/** Raises AlreadyRunning when another daemon holds the file. Returns the function that lets it go. */
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
