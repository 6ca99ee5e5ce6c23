/** Runs work with a deadline that holds even if the work ignores its signal. */
import { abortable, deadline, sleep } from '../../lib/abort.ts';
import { AppError } from '../errors.ts';

/** Milliseconds that work gets to stop after its signal has aborted. */
export const abandonAfterMs = 5_000;

export interface Bounds {
  readonly timeoutMs: number;
  /** Aborts the work before the deadline. */
  readonly parent?: AbortSignal;
  /** Name of the work in the error. */
  readonly what: string;
  /** Called when the work ignores its signal; the function it returns is called if the work settles later. */
  readonly onAbandoned?: () => () => void;
}

/**
 * Runs `work` with a signal that aborts at the deadline or with the parent. After an abort it raises the
 * parent's reason, else the work's own AppError, else `timeout`. Work that has not settled 5 s after the
 * abort is abandoned and its result dropped.
 */
export async function bounded<T>(bounds: Bounds, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { timeoutMs, parent, what, onAbandoned } = bounds;
  const late = () => new AppError('timeout', `${what} did not end within ${timeoutMs / 1000} s`);
  const { signal, clear } = deadline(timeoutMs, late, parent);
  const working = work(signal);
  try {
    return await abortable(working, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
    const ending = await endOf(working);
    if (ending === 'abandoned') {
      const onLate = onAbandoned?.();
      working.then(onLate, onLate).catch(() => undefined);
    }
    if (parent?.aborted) throw parent.reason;
    throw ending instanceof AppError ? ending : signal.reason;
  } finally {
    clear();
  }
}

/** The error that the work raises while stopping; undefined for none. */
async function endOf(working: Promise<unknown>): Promise<unknown> {
  const patience = new AbortController();
  const tooLate = sleep(abandonAfterMs, patience.signal).then(
    () => 'abandoned',
    () => undefined,
  );
  const ended = working.then(
    () => undefined,
    (error: unknown) => error,
  );
  const ending = await Promise.race([ended, tooLate]);
  patience.abort();
  return ending;
}
