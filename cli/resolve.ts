/** The machine or snapshot that a word names: its name, its id, or the beginning of its id where only one begins so. */
import { FlotillaError, type Snapshot } from '../sdk/src/index.ts';
import type { Context } from './context.ts';
import { CliError } from './errors.ts';
import { exitCodes } from './exit-codes.ts';
import { everything, findMachines } from './filters.ts';
import { collect } from './paging.ts';

/** A prefix of fewer characters is more likely a mistake. */
const idPrefix = /^[a-z0-9]{3,11}$/;
const shownMax = 5;

interface Named {
  readonly id: string;
  readonly name: string;
}

/**
 * Does `work` with the word itself, which the API knows as an id or a name of a machine; where it knows neither, with the id
 * that begins so. `work` must not have had an effect when it fails with 404. Throws CliError when several ids begin so.
 */
export function resolved<T>(context: Context, word: string, work: (id: string) => Promise<T>): Promise<T> {
  return resolvedAmong('machines', async () => (await findMachines(context, {})).items, word, work);
}

/** The same for a snapshot. */
export function resolvedSnapshot<T>(
  { client, signal }: Context,
  word: string,
  work: (id: string) => Promise<T>,
): Promise<T> {
  const find = async () => {
    const { items } = await collect<Snapshot>(everything, async (page) => {
      const { snapshots, total } = await client.snapshots.list(page, { signal });
      return { items: snapshots, total };
    });
    return items;
  };
  return resolvedAmong('snapshots', find, word, work);
}

async function resolvedAmong<T>(
  plural: string,
  find: () => Promise<readonly Named[]>,
  word: string,
  work: (id: string) => Promise<T>,
): Promise<T> {
  try {
    return await work(word);
  } catch (error) {
    if (!(error instanceof FlotillaError) || error.status !== 404 || !idPrefix.test(word)) throw error;
    const [first, ...others] = (await find()).filter(({ id }) => id.startsWith(word));
    if (first === undefined) throw error;
    if (others.length === 0) return await work(first.id);
    const named = [first, ...others].slice(0, shownMax).map(({ id, name }) => `${id} (${name})`);
    throw new CliError(`${others.length + 1} ${plural} have an id that begins with ${word}`, {
      hint: `give more of it: ${named.join(', ')}`,
      exitCode: exitCodes.usage,
    });
  }
}
