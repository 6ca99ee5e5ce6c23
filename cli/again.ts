/** Trying again while the daemon cannot be reached, for what goes on in a machine meanwhile. */
import { setTimeout as sleep } from 'node:timers/promises';
import { clientErrorCodes, FlotillaError } from '../sdk/src/index.ts';

/** How long a daemon may take to come back. */
export const patienceMs = 60_000;
const pauseMsMin = 100;
const pauseMsMax = 2_000;

export interface Attempts {
  readonly signal: AbortSignal;
  /** Called at the first failure in a row. */
  readonly onLost: () => void;
}

/**
 * Repeats `attempt` while it fails because the daemon cannot be reached. `attempt` calls its argument whenever something
 * works: only what fails for `patienceMs` on end is given up. Rejects with the last failure, or with the signal's reason.
 */
export async function again<T>(
  { signal, onLost }: Attempts,
  attempt: (works: () => void) => Promise<T>,
): Promise<T> {
  let lostAtMs: number | null = null;
  let pauseMs = pauseMsMin;
  const works = () => {
    lostAtMs = null;
    pauseMs = pauseMsMin;
  };
  for (;;) {
    try {
      return await attempt(works);
    } catch (error) {
      signal.throwIfAborted();
      if (!isOfConnection(error)) throw error;
      if (lostAtMs === null) onLost();
      lostAtMs ??= performance.now();
      if (performance.now() - lostAtMs > patienceMs) throw error;
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => signal.throwIfAborted());
    pauseMs = Math.min(pauseMs * 2, pauseMsMax);
  }
}

/** Whether the daemon, or its connection to the guest, may be there again soon. */
export function isOfConnection(error: unknown): boolean {
  if (!(error instanceof FlotillaError)) return false;
  if (error.status !== 0) return error.status === 502 || error.status === 503;
  return error.code === clientErrorCodes.unreachable || error.code === clientErrorCodes.timeout;
}
