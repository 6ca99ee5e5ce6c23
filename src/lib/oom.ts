/** Which process the kernel kills first when the host runs out of memory; see proc(5), oom_score_adj. */
import { readFileSync, writeFileSync } from 'node:fs';

/** The range is -1000 (never) to 1000 (first). */
const protectedScore = -900;

/** Makes this process one of the last to be killed. Returns false without the right, which only root has. */
export function protectFromOom(): boolean {
  try {
    writeFileSync('/proc/self/oom_score_adj', String(protectedScore));
    return true;
  } catch {
    return false;
  }
}

/**
 * Undoes that for a child, which inherits the score: a tool that uses too much memory should be killed before
 * the daemon.
 */
export function exposeToOom(pid: number): void {
  try {
    if (Number(readFileSync('/proc/self/oom_score_adj', 'utf8')) < 0)
      writeFileSync(`/proc/${pid}/oom_score_adj`, '0');
  } catch {
    // The child has exited, or this host has no such file.
  }
}
