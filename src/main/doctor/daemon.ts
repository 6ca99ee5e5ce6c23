/** Checks the daemon by its files and its address. */
import { readFile } from 'node:fs/promises';
import { type Finding, fail, ok, warn } from '../../setup/doctor/finding.ts';
import type { StateLayout } from '../../storage/layout.ts';
import type { Config } from '../config.ts';
import { daemonIdentity, findDaemon } from '../daemon-process.ts';
import { version } from '../version.ts';

export interface DaemonFacts {
  /** The pid in daemon.pid; null when there is no such file. */
  readonly pid: number | null;
  /** Whether that process runs and is a daemon. */
  readonly isAlive: boolean;
  /** Its answer to /health; null when there was none. */
  readonly answer: { readonly url: string; readonly version: string | null } | null;
  /** The content of daemon.url. */
  readonly url: string | null;
  readonly ownVersion: string;
  readonly logFile: string;
}

/** Requests the daemon's health; starts and stops nothing. */
export async function readDaemonFacts(config: Config, layout: StateLayout): Promise<DaemonFacts> {
  const text = async (path: string) =>
    readFile(path, 'utf8').then(
      (content) => content.trim(),
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return null;
        throw error;
      },
    );
  const pidText = await text(layout.pidFile);
  const pid = pidText !== null && /^\d{1,10}$/.test(pidText) ? Number(pidText) : null;
  const found = await findDaemon(config);
  return {
    pid,
    isAlive: found !== null || daemonIdentity(layout) !== null,
    answer: found && { url: found.url, version: found.health.version ?? null },
    url: await text(layout.urlFile),
    ownVersion: version,
    logFile: layout.logFile,
  };
}

/** Judges the facts. Pure. */
export function checkDaemon(facts: DaemonFacts): readonly Finding[] {
  const { pid, isAlive, answer, url, ownVersion, logFile } = facts;
  if (pid === null) return [ok('daemon', 'none runs; ./flotilla up starts one')];
  if (!isAlive) {
    const message = `process ${pid} of daemon.pid is gone: the daemon was killed or has crashed`;
    return [
      warn(
        'daemon',
        message,
        `./flotilla up starts it again; if it ran in the background, its last words are in ${logFile}.`,
      ),
    ];
  }
  if (answer === null) {
    const where = url === null ? 'it has not said where it listens' : `it does not answer at ${url}`;
    const hint = `It may be starting. If it stays so: its log is ${logFile}; kill -9 ${pid} is safe, machines keep running.`;
    return [fail('daemon', `process ${pid} runs, and ${where}`, hint)];
  }
  const running = ok('daemon', `process ${pid} answers at ${answer.url}`);
  if (answer.version === ownVersion) return [running, ok('version', ownVersion)];
  const message = `the daemon is ${answer.version ?? 'of an unknown version'}, this checkout is ${ownVersion}`;
  return [running, warn('version', message, './flotilla down, then ./flotilla up; machines keep running.')];
}
