/** The daemon as seen from outside its process: find it, start it in the background, stop it. */
import { spawn } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FlotillaClient, type Health } from '../../sdk/src/index.ts';
import { AppError } from '../core/errors.ts';
import { sleep } from '../lib/abort.ts';
import { isAlive, type ProcessIdentity, readProcessStat } from '../lib/procfs.ts';
import { StateLayout } from '../storage/layout.ts';
import type { Config } from './config.ts';

const startTimeoutMs = 30_000;
const stopTimeoutMs = 20_000;
const pollMs = 25;
const logTailLines = 15;

export interface RunningDaemon {
  readonly url: string;
  readonly client: FlotillaClient;
  readonly health: Health;
}

/** The daemon of this state directory, if it answers; null when there is none. */
export async function findDaemon(config: Config): Promise<RunningDaemon | null> {
  const layout = new StateLayout(config.stateDir);
  if (!daemonIdentity(layout)) return null;
  const url = (await readOrNull(layout.urlFile))?.trim();
  if (!url) return null;
  const key = (await readOrNull(layout.adminKeyFile))?.trim();
  const client = new FlotillaClient({ url, ...(key ? { key } : {}) });
  try {
    return { url, client, health: await client.health({ timeoutMs: 5_000 }) };
  } catch {
    return null;
  }
}

/** Starts `serve` detached, its output in daemon.log; resolves when it answers. Raises `unavailable` with its last words. */
export async function startDaemonProcess(config: Config): Promise<RunningDaemon> {
  const layout = new StateLayout(config.stateDir);
  await mkdir(layout.root, { recursive: true, mode: 0o711 });
  const log = openSync(layout.logFile, 'a', 0o600);
  const child = spawn(process.execPath, [join(import.meta.dirname, 'cli.ts'), 'serve'], {
    detached: true,
    stdio: ['ignore', log, log],
  });
  let exitCode: number | null = null;
  child.on('exit', (code) => {
    exitCode = code ?? 1;
  });
  child.unref();
  const until = performance.now() + startTimeoutMs;
  while (exitCode === null && performance.now() < until) {
    const daemon = await findDaemon(config);
    if (daemon) return daemon;
    await sleep(pollMs);
  }
  const why =
    exitCode === null ? `does not answer after ${startTimeoutMs / 1000} s` : `exited with ${exitCode}`;
  throw new AppError('unavailable', `the daemon ${why}:\n${logTail(layout.logFile)}`, {
    hint: `Its log is ${layout.logFile}.`,
  });
}

/** SIGTERM and wait; machines go on. False when no daemon ran. */
export async function stopDaemonProcess(config: Config): Promise<boolean> {
  const identity = daemonIdentity(new StateLayout(config.stateDir));
  if (!identity) return false;
  process.kill(identity.pid, 'SIGTERM');
  const until = performance.now() + stopTimeoutMs;
  while (isAlive(identity)) {
    if (performance.now() > until) {
      throw new AppError(
        'timeout',
        `the daemon (pid ${identity.pid}) did not end within ${stopTimeoutMs / 1000} s`,
        {
          hint: `Look at its log; kill -9 ${identity.pid} is safe: machines go on and the next daemon adopts them.`,
        },
      );
    }
    await sleep(pollMs);
  }
  return true;
}

/** The process in daemon.pid, if it is a daemon of ours and not a later process with the same pid. */
export function daemonIdentity(layout: StateLayout): ProcessIdentity | null {
  try {
    const pid = Number(readFileSync(layout.pidFile, 'utf8'));
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    if (!command.includes('serve')) return null;
    const stat = readProcessStat(pid);
    return stat && isAlive(stat) ? stat : null;
  } catch {
    return null;
  }
}

async function readOrNull(path: string): Promise<string | null> {
  return readFile(path, 'utf8').catch(() => null);
}

function logTail(path: string): string {
  return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-logTailLines).join('\n');
}
