/**
 * Finding and ending VMM processes that need not be our children. A process is found by its command line, which names
 * the incarnation and the run directory, so that one spawned by a daemon that died a moment later is found too.
 */
import { readdir, readFile } from 'node:fs/promises';
import { sleep } from '../../lib/abort.ts';
import { isAlive, type ProcessIdentity, readProcessStat } from '../../lib/procfs.ts';
import type { StateLayout } from '../../storage/layout.ts';
import { escapeOption } from './command-line.ts';

export interface FoundVmm extends ProcessIdentity {
  readonly incarnation: string;
}

const namePattern = /^flotilla-([a-z0-9]{1,32})$/;
const gonePollMs = 5;

/** The incarnation a command line belongs to, if it is one of ours under this state directory. Pure. */
export function incarnationOf(argv: readonly string[], layout: StateLayout): string | null {
  const incarnation = namePattern.exec(argv[argv.indexOf('-name') + 1] ?? '')?.[1];
  if (incarnation === undefined || !argv.includes('-name')) return null;
  // Another daemon's machine, or a program that merely mentions the name, does not name our run directory.
  const mark = `path=${escapeOption(layout.runDir(incarnation))}/qmp.sock,`;
  return argv.some((argument) => argument.includes(mark)) ? incarnation : null;
}

async function readVmm(pid: number, layout: StateLayout): Promise<FoundVmm | null> {
  const read = async () => {
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    return incarnationOf(commandLine.split('\0'), layout);
  };
  const incarnation = await read();
  if (incarnation === null) return null;
  const stat = readProcessStat(pid);
  // Between the two reads the pid may have passed to another process; a third one tells.
  if (stat === null || (await read()) !== incarnation || !isAlive(stat)) return null;
  return { pid, startTime: stat.startTime, incarnation };
}

/** Every living VMM under this state directory; those of one incarnation when it is named. */
export async function findVmms(layout: StateLayout, incarnation?: string): Promise<readonly FoundVmm[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const found: FoundVmm[] = [];
  for (const pid of pids) {
    const vmm = await readVmm(pid, layout);
    if (vmm !== null && (incarnation === undefined || vmm.incarnation === incarnation)) found.push(vmm);
  }
  return found;
}

/**
 * Whether a living process is this incarnation's VMM: by its command line or, as a VMM can write over that, by the user
 * it runs as, which it cannot change. `uid` is null when VMMs have no user of their own.
 */
export async function isVmmOf(
  identity: ProcessIdentity,
  incarnation: string,
  layout: StateLayout,
  uid: number | null,
): Promise<boolean> {
  const vmm = await readVmm(identity.pid, layout);
  const isNamed = vmm?.incarnation === incarnation && vmm.startTime === identity.startTime;
  if (isNamed || uid === null) return isNamed;
  const status = await readFile(`/proc/${identity.pid}/status`, 'utf8').catch(() => '');
  // Looked at last: then what was read is of this process and of no later one with its pid.
  return /^Uid:\t(\d+)/m.exec(status)?.[1] === String(uid) && isAlive(identity);
}

/** Sends SIGKILL to exactly this process; harmless when it is gone. */
export function killProcess(identity: ProcessIdentity): void {
  if (!isAlive(identity)) return;
  try {
    process.kill(identity.pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Waits until the process is gone; false when it is not within `timeoutMs`. */
export async function waitGone(identity: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  for (let waitedMs = 0; isAlive(identity); waitedMs += gonePollMs) {
    if (waitedMs >= timeoutMs) return false;
    await sleep(gonePollMs);
  }
  return true;
}
