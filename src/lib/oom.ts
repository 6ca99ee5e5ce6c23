/** Whom the kernel ends first when the host runs out of memory; see proc(5), oom_score_adj. */
import { readFileSync, writeFileSync } from 'node:fs';

/** Of -1000 (never) to 1000: after nearly everything else. */
const protectedScore = -900;

/** Makes this process one of the last to be ended; false when it may not, which only root may. */
export function protectFromOom(): boolean {
  try {
    writeFileSync('/proc/self/oom_score_adj', String(protectedScore));
    return true;
  } catch {
    return false;
  }
}

/** Takes from a child what it has inherited of that: a tool that eats memory is to go before the daemon. */
export function exposeToOom(pid: number): void {
  try {
    if (Number(readFileSync('/proc/self/oom_score_adj', 'utf8')) < 0)
      writeFileSync(`/proc/${pid}/oom_score_adj`, '0');
  } catch {
    // It has ended, or this host has no such file.
  }
}
