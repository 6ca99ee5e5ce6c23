/**
 * Reads /proc about any process, also one that is not our child. Pids are reused; a pid together with its
 * start time is unique.
 */
import { readFileSync } from 'node:fs';

export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since the host booted, field 22 of /proc/PID/stat. */
  readonly startTime: string;
}

export interface ProcessStat extends ProcessIdentity {
  /** State letter. `Z` and `X` mean dead, even though kill(pid, 0) still succeeds. */
  readonly state: string;
  /** Of all its threads, in user and kernel mode; counted in steps of 10 ms. */
  readonly processorTimeMs: number;
  /** Memory in RAM, including pages shared with others. */
  readonly residentBytes: number;
}

/** Linux reports times in this unit on every architecture that Node runs on (USER_HZ is 100). */
const tickMs = 10;
const pageBytes = 4096;

/** Null when there is no such process. */
export function readProcessStat(pid: number): ProcessStat | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return null;
  }
  // The second field is the command in parentheses, which may itself contain spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const state = fields[0];
  const startTime = fields[19];
  if (state === undefined || startTime === undefined) return null;
  const [userTicks, kernelTicks, residentPages] = [fields[11], fields[12], fields[21]].map(Number);
  return {
    pid,
    state,
    startTime,
    processorTimeMs: ((userTicks ?? 0) + (kernelTicks ?? 0)) * tickMs,
    residentBytes: (residentPages ?? 0) * pageBytes,
  };
}

export function isAlive(identity: ProcessIdentity): boolean {
  const stat = readProcessStat(identity.pid);
  return stat !== null && stat.startTime === identity.startTime && stat.state !== 'Z' && stat.state !== 'X';
}

/** The kernel's boot id: changes with every boot of the host. */
export function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
