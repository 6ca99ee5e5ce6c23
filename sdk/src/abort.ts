/** Deadlines and waiting, built on web APIs only. */

/** An AbortController that follows a parent signal until `release` is called. */
export interface LinkedAbort {
  readonly signal: AbortSignal;
  readonly abort: (reason: unknown) => void;
  /** Stops following the parent. */
  readonly release: () => void;
}

export function linkedAbort(parent: AbortSignal | undefined): LinkedAbort {
  const controller = new AbortController();
  const onParent = () => controller.abort(parent?.reason);
  if (parent?.aborted) onParent();
  else parent?.addEventListener('abort', onParent, { once: true });
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    release: () => parent?.removeEventListener('abort', onParent),
  };
}

/** The longest delay of a timer; a longer one would fire at once. */
const timerMsMax = 2 ** 31 - 1;

/** Calls `act` after `ms`, which may be infinite. Returns a function that cancels it. */
export function startTimer(ms: number, act: () => void): () => void {
  if (ms === Number.POSITIVE_INFINITY) return () => undefined;
  const timer = setTimeout(act, Math.min(Math.max(ms, 0), timerMsMax));
  return () => clearTimeout(timer);
}

/** Runs `work` with a signal that aborts with `makeReason()` after `ms`, or with the parent's reason. */
export async function withDeadline<T>(
  ms: number,
  makeReason: () => unknown,
  parent: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const linked = linkedAbort(parent);
  const stopTimer = startTimer(ms, () => linked.abort(makeReason()));
  try {
    return await work(linked.signal);
  } finally {
    stopTimer();
    linked.release();
  }
}

/** Resolves after `ms`; rejects with the signal's reason if it aborts first. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
