/**
 * Finds and ends VMM processes, which need not be our children. A process is recognised by its command line,
 * which names the incarnation and the run directory; so a VMM spawned just before the daemon died is found
 * too.
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

/** The incarnation of a command line that belongs to this state directory; else null. Pure. */
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
  // The pid may be reused between the two reads; a third read detects that.
  if (stat === null || (await read()) !== incarnation || !isAlive(stat)) return null;
  return { pid, startTime: stat.startTime, incarnation };
}

/** All running VMMs of this state directory, or only those of one incarnation. */
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
 * Whether a running process is this incarnation's VMM. Recognised by its command line or, because a VMM can
 * overwrite that, by its user, which it cannot change. `uid` is null when VMMs run as the daemon's user.
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
  // Checked last, so that everything read belongs to this process and not to a later one with its pid.
  return /^Uid:\t(\d+)/m.exec(status)?.[1] === String(uid) && isAlive(identity);
}

/** Sends SIGKILL to exactly this process; does nothing if it is gone. */
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
