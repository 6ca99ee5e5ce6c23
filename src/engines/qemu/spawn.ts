/** Starts a program that outlives the daemon. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants, open } from 'node:fs/promises';
import { invariant } from '../../lib/invariant.ts';
import { exposeToOom } from '../../lib/oom.ts';
import { type ProcessIdentity, readProcessStat } from '../../lib/procfs.ts';

export interface Spawned {
  readonly child: ChildProcess;
  /** The VMM, or the process that becomes it. */
  readonly identity: ProcessIdentity;
  /** Whether the child is the VMM itself, so that the child's exit is the VMM's. */
  readonly isVmm: boolean;
  /** Lets the process become the VMM, once it is recorded. */
  release(): void;
  /** Ends the process before it becomes the VMM. */
  abandon(): void;
}

/**
 * Spawns in its own session with an empty environment, standard input and output on /dev/null, and standard
 * error appended to `logFile`. Rejects with the system's error (`ENOENT`, `EAGAIN`…) on failure.
 */
export async function spawnDetached(
  command: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly logFile: string },
): Promise<Spawned> {
  const log = await open(options.logFile, constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW);
  try {
    const child = spawn(command, [...args], {
      cwd: options.cwd,
      env: {},
      detached: true,
      stdio: ['ignore', 'ignore', log.fd],
    });
    // Read before the event loop continues: until then even a process that exited at once is not reaped.
    const stat = child.pid === undefined ? null : readProcessStat(child.pid);
    await once(child, 'spawn');
    if (child.pid !== undefined) exposeToOom(child.pid);
    invariant(stat !== null, 'a spawned process has a start time');
    // Errors after the start only concern signals sent through the child object, which we do not send.
    child.on('error', () => undefined);
    child.unref();
    const identity = { pid: stat.pid, startTime: stat.startTime };
    return { child, identity, isVmm: true, release: () => undefined, abandon: () => undefined };
  } finally {
    await log.close();
  }
}
