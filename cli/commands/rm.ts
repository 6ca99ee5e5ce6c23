/** `rm`: machines and all that is theirs. */
import { Command } from 'commander';
import { FlotillaError } from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { forEachId } from '../each.ts';
import { CliError } from '../errors.ts';
import { json, line } from '../output.ts';

export function define(context: Context): Command {
  return new Command('rm')
    .description('Remove machines with their disks, and print what was removed.')
    .argument('<machine...>', 'ids or names')
    .option('-f, --force', 'running ones too')
    .option('--json', 'print an object with the ids or names that were removed')
    .action(async (ids: string[], options: { readonly force?: true; readonly json?: true }) => {
      const deleted: string[] = [];
      const exitCode = await forEachId(context, ids, 'removing', async (id) => {
        await remove(context, id, options.force === true);
        deleted.push(id);
        return options.json ? '' : line(id);
      });
      if (options.json) await context.print(json({ deleted }));
      context.exitWith(exitCode);
    });
}

async function remove(context: Context, id: string, force: boolean): Promise<void> {
  try {
    await context.client.machines.delete(id, { force, signal: context.signal });
  } catch (error) {
    const isRefused = error instanceof FlotillaError && (error.status === 400 || error.status === 409);
    if (!isRefused || force || error.hint !== undefined) throw error;
    throw new CliError(error.message, { hint: 'rm -f removes running machines too' });
  }
}
