/** One action on several machines. */
import type { Context } from './context.ts';
import { exitCodes } from './exit-codes.ts';

const atOnceMax = 4;

/**
 * Tries `act` on every id, a few at a time, and prints what it gives; a failure is reported and does not stop the
 * others. Gives the exit code.
 */
export async function forEachMachine(
  context: Context,
  ids: readonly string[],
  act: (id: string) => Promise<string>,
): Promise<number> {
  const left = [...new Set(ids)];
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
    }
  };
  await Promise.all(Array.from({ length: atOnceMax }, work));
  return exitCode;
}
