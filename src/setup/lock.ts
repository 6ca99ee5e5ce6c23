/**
 * Allows one set-up at a time per cache directory. The lock is flock(2) on `setup.lock`, held by a child that
 * lives as long as its standard input, a pipe of ours: whenever we end, the kernel closes the pipe and so
 * releases the lock. There are no pid files that could become stale.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError } from '../core/errors.ts';
import { abortable, deadline } from '../lib/abort.ts';
import type { Environment } from './context.ts';

const waitMs = 40 * 60_000;

export interface LockOptions {
  readonly env: Environment;
  readonly signal: AbortSignal;
  /** Called once when another process holds the lock and waiting begins. */
  readonly onWait: () => void;
}

/** Runs `work` while holding the lock on `path`. Raises `timeout` when another holds it for too long. */
export async function withLock<T>(path: string, options: LockOptions, work: () => Promise<T>): Promise<T> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  const release = (await tryLock(path, options, true)) ?? (await waitForLock(path, options));
  try {
    return await work();
  } finally {
    await release();
  }
}

async function waitForLock(path: string, options: LockOptions): Promise<() => Promise<void>> {
  options.onWait();
  const release = await tryLock(path, options, false);
  if (release) return release;
  throw new AppError('internal', `flock gave up on ${path}`);
}

/** Null when `isNonblocking` and another process holds the lock. */
async function tryLock(
  path: string,
  options: LockOptions,
  isNonblocking: boolean,
): Promise<(() => Promise<void>) | null> {
  // After flock has the lock, it becomes `cat`, which echoes our input.
  const args = ['--exclusive', '--no-fork', ...(isNonblocking ? ['--nonblock'] : []), path, 'cat'];
  const child = spawn('flock', args, {
    env: { ...options.env },
    stdio: ['pipe', 'pipe', 'ignore'],
    // Ctrl-C at a terminal reaches the whole process group; the lock must be held until we release it.
    detached: true,
  });
  const exited = once(child, 'exit');
  exited.catch(() => undefined);
  child.stdin.on('error', () => undefined);
  child.stdin.write('\n');
  const limit = deadline(
    waitMs,
    () => new AppError('timeout', `another set-up has held ${path} for ${waitMs / 60_000} minutes`),
    options.signal,
  );
  try {
    const isLocked = await abortable(
      Promise.race([once(child.stdout, 'data').then(() => true), exited.then(() => false)]),
      limit.signal,
    );
    if (!isLocked) return null;
  } catch (error) {
    child.kill('SIGKILL');
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new AppError('unsupported', 'the program flock is not installed', {
      cause: error,
      hint: 'Install it: apt-get install util-linux',
    });
  } finally {
    limit.clear();
  }
  return async () => {
    child.stdin.end();
    await exited;
  };
}
