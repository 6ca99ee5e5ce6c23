/** What is said when somebody interrupts a command whose work is the daemon's. */
import type { Context } from './context.ts';
import { Interruption } from './errors.ts';

/** Shows a terminal that this is going on, and says when it may continue without us. `what` is such as `the snapshot of web`. */
export async function duringWork<T>(
  context: Context,
  { doing, what }: { readonly doing: string; readonly what: string },
  work: () => Promise<T>,
): Promise<T> {
  const { signal, progress } = context;
  const say = () => {
    const { reason } = signal;
    if (reason instanceof Interruption && reason.bySignal) context.note(`${what} may continue in the daemon`);
  };
  signal.addEventListener('abort', say, { once: true });
  try {
    return await progress.during(() => doing, work);
  } finally {
    signal.removeEventListener('abort', say);
  }
}
