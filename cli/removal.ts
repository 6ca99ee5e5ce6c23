/** Removing machines that were named or found; what `rm` and `prune` have in common. */
import { FlotillaError } from '../sdk/src/index.ts';
import type { Context } from './context.ts';
import { forEachId } from './each.ts';
import { CliError } from './errors.ts';
import { json, line } from './output.ts';
import { resolved } from './resolve.ts';

export interface RemovalOptions {
  readonly force: boolean;
  readonly isJson: boolean;
}

/** Prints the words as they are removed, or at the end as JSON; sets the exit code. */
export async function removeMachines(
  context: Context,
  words: readonly string[],
  { force, isJson }: RemovalOptions,
): Promise<void> {
  const deleted: string[] = [];
  const exitCode = await forEachId(context, words, 'removing', async (word) => {
    await resolved(context, word, (id) => remove(context, id, force));
    deleted.push(word);
    return isJson ? '' : line(word);
  });
  if (isJson) await context.print(json({ deleted }));
  context.exitWith(exitCode);
}

async function remove(context: Context, id: string, force: boolean): Promise<void> {
  try {
    await context.client.machines.delete(id, { force, signal: context.signal });
  } catch (error) {
    const isRefused = error instanceof FlotillaError && (error.status === 400 || error.status === 409);
    if (!isRefused || force || error.retryable) throw error;
    throw new CliError(error.message, { hint: 'flotilla rm -f removes running machines too' });
  }
}
