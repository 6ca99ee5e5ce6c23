/** Does one action on several things, and reports each failure. */
import type { Context } from './context.ts';
import { exitCodes } from './exit-codes.ts';

const atOnceMax = 4;

/**
 * Tries `act` on every id, a few at a time, and prints what it gives; a failure is reported and does not stop the
 * others. `doing` (such as `starting`) is what a terminal is shown meanwhile; empty for what is quick. Gives the exit code.
 */
export async function forEachId(
  context: Context,
  ids: readonly string[],
  doing: string,
  act: (id: string) => Promise<string>,
): Promise<number> {
  const left = [...new Set(ids)];
  const total = left.length;
  let done = 0;
  let exitCode: number = exitCodes.ok;
  const work = async () => {
    for (let id = left.shift(); id !== undefined; id = left.shift()) {
      try {
        await context.print(await act(id));
      } catch (error) {
        context.signal.throwIfAborted();
        context.report(error, id);
        exitCode = exitCodes.failed;
      }
      done++;
    }
  };
  const text = () => (total === 1 ? `${doing} ${ids[0]}` : `${doing} ${total}, ${done} done`);
  const all = () => Promise.all(Array.from({ length: atOnceMax }, work));
  await (doing === '' ? all() : context.progress.during(text, all));
  return exitCode;
}
