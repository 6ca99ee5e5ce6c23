/** The daemon from outside its process: finds it, starts it in the background, stops it. */
import { spawn } from 'node:child_process';
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { operatorSocketIn } from '../../cli/operator-socket.ts';
import { socketFetch } from '../../cli/patient-fetch.ts';
import { FlotillaClient, type Health } from '../../sdk/src/index.ts';
import { AppError } from '../core/errors.ts';
import { sleep } from '../lib/abort.ts';
import { isAlive, type ProcessIdentity, readProcessStat } from '../lib/procfs.ts';
import { StateLayout } from '../storage/layout.ts';
import type { Config } from './config.ts';
import { alreadyRunningExitCode } from './daemon-lock.ts';

/** Interrupted operations are taken up before the daemon listens, which may wait for guests. */
const startTimeoutMs = 600_000;
/** Time from taking the lock to writing daemon.pid, generous for a slow host. */
const winnerGraceMs = 15_000;
/** A start that takes longer has interrupted operations to take up. */
const silentMs = 1_000;
const stopTimeoutMs = 20_000;
const pollMs = 25;
const logTailLines = 15;
const logTailBytes = 64 * 1024;

export interface RunningDaemon {
  readonly url: string;
  readonly client: FlotillaClient;
  readonly health: Health;
}

/** The daemon of this state directory if it answers; else null. */
export async function findDaemon(config: Config): Promise<RunningDaemon | null> {
  const layout = new StateLayout(config.stateDir);
  if (!daemonIdentity(layout)) return null;
  const url = (await readOrNull(layout.urlFile))?.trim();
  if (!url) return null;
  const key = (await readOrNull(layout.adminKeyFile))?.trim();
  const { path } = operatorSocketIn(layout.root);
  // The key is only sent to the process that answers on the socket.
  const client =
    path === null
      ? new FlotillaClient({ url })
      : new FlotillaClient({ url, fetch: socketFetch(path), ...(key ? { key } : {}) });
  try {
    return { url, client, health: await client.health({ timeoutMs: 5_000 }) };
  } catch {
    return null;
  }
}

export interface StartOptions {
  /** Called repeatedly with what the start waits for, once it takes longer than usual. */
  readonly onWait?: (text: string) => void;
}

/**
 * Starts `serve` detached, with its output in daemon.log; resolves when this daemon answers, or another one
 * that was started at the same time. Raises `unavailable` with its last output when it exits, or does not
 * answer within 10 minutes.
 */
export async function startDaemonProcess(config: Config, options: StartOptions = {}): Promise<RunningDaemon> {
  const layout = new StateLayout(config.stateDir);
  await mkdir(layout.root, { recursive: true, mode: 0o711 });
  const child = spawnDaemon(layout);
  const startedAt = performance.now();
  let exitedAt: number | null = null;
  for (;;) {
    const daemon = await findDaemon(config);
    // A child that is still loading would become the daemon if the other one ended now.
    if (daemon && (child.exit() || daemonIdentity(layout)?.pid === child.pid)) return daemon;
    if (daemon) child.kill();
    const now = performance.now();
    if (now - startedAt > startTimeoutMs) {
      throw startFailure(layout, `does not answer after ${startTimeoutMs / 1000} s`);
    }
    const exit = child.exit();
    if (exit && !daemon) {
      exitedAt ??= now;
      const isWinnerComing = now - exitedAt < winnerGraceMs || daemonIdentity(layout) !== null;
      if (!exit.isLockLost || !isWinnerComing) throw startFailure(layout, exit.how);
    }
    if (now - startedAt > silentMs) options.onWait?.('continuing interrupted operations');
    await sleep(pollMs);
  }
}

interface DaemonChild {
  readonly pid: number | undefined;
  kill(): void;
  /** Null while it runs. */
  exit(): { readonly how: string; readonly isLockLost: boolean } | null;
}

function spawnDaemon(layout: StateLayout): DaemonChild {
  const log = openSync(layout.logFile, 'a', 0o600);
  const child = spawn(process.execPath, [join(import.meta.dirname, 'cli.ts'), 'serve'], {
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  let exit: ReturnType<DaemonChild['exit']> = null;
  child.on('error', (error) => {
    exit = { how: `cannot be started: ${error.message}`, isLockLost: false };
  });
  child.on('exit', (code, signal) => {
    const how = code === null ? `was ended by ${signal}` : `exited with ${code}`;
    exit = { how, isLockLost: code === alreadyRunningExitCode };
  });
  child.unref();
  return {
    pid: child.pid,
    kill: () => void child.kill('SIGTERM'),
    exit: () => exit,
  };
}

function startFailure(layout: StateLayout, why: string): AppError {
  const lastWords = readEnd(layout.logFile).trimEnd().split('\n').slice(-logTailLines).join('\n');
  return new AppError('unavailable', `the daemon ${why}:\n${lastWords}`, {
    hint: `Look at its log, ${layout.logFile}.`,
  });
}

/** Sends SIGTERM and waits; machines keep running. False when no daemon ran. */
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
          hint: `Look at its log; kill -9 ${identity.pid} is safe: machines keep running and the next daemon adopts them.`,
        },
      );
    }
    await sleep(pollMs);
  }
  return true;
}

/** The environment of the running daemon; null when there is none, or it cannot be read. */
export function daemonEnvironment(config: Config): NodeJS.ProcessEnv | null {
  const identity = daemonIdentity(new StateLayout(config.stateDir));
  if (identity === null) return null;
  try {
    const entries = readFileSync(`/proc/${identity.pid}/environ`, 'utf8').split('\0');
    return Object.fromEntries(
      entries.map((entry) => [entry.split('=', 1)[0], entry.slice(entry.indexOf('=') + 1)]),
    );
  } catch {
    return null;
  }
}

/** The process in daemon.pid, if it is our daemon and not a later process with the same pid. */
export function daemonIdentity(layout: StateLayout): ProcessIdentity | null {
  try {
    const pid = Number(readFileSync(layout.pidFile, 'utf8'));
    const [, program = '', verb] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    if (!/(^|\/)src\/main\/cli\.ts$/.test(program) || verb !== 'serve') return null;
    const stat = readProcessStat(pid);
    return stat && isAlive(stat) ? stat : null;
  } catch {
    return null;
  }
}

async function readOrNull(path: string): Promise<string | null> {
  return readFile(path, 'utf8').catch(() => null);
}

/** At most the last 64 KiB of a file. */
function readEnd(path: string): string {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const from = Math.max(0, size - logTailBytes);
    const buffer = Buffer.alloc(Math.max(0, size - from));
    return buffer.toString('utf8', 0, readSync(file, buffer, 0, buffer.length, from));
  } finally {
    closeSync(file);
  }
}
