/**
 * One set-up at a time for a cache directory. The lock is flock(2) on `setup.lock`, held by a child that lives exactly as
 * long as its standard input, a pipe of ours: however we end, the kernel closes the pipe and frees the lock. No pid
 * files, nothing stale.
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
  /** Called once when another process holds the lock and we begin to wait. */
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

/** Null when `isNonblocking` and another holds the lock. */
async function tryLock(
  path: string,
  options: LockOptions,
  isNonblocking: boolean,
): Promise<(() => Promise<void>) | null> {
  // `cat` echoes what we write to it once flock has the lock and has become it.
  const args = ['--exclusive', '--no-fork', ...(isNonblocking ? ['--nonblock'] : []), path, 'cat'];
  const child = spawn('flock', args, {
    env: { ...options.env },
    stdio: ['pipe', 'pipe', 'ignore'],
    // Ctrl-C at a terminal goes to its whole process group; the lock must outlive it until we let go.
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
