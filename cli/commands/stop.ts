/** `stop`: one machine or several. */
import { Command } from 'commander';
import type { Context } from '../context.ts';
import { forEachId } from '../each.ts';
import { json, line } from '../output.ts';

export function define(context: Context): Command {
  return new Command('stop')
    .description('Stop machines and print their names; their disks stay.')
    .argument('<machine...>', 'ids or names')
    .option('--json', 'print each machine as the API gives it')
    .action(async (ids: string[], options: { readonly json?: true }) => {
      const { client, signal } = context;
      const exitCode = await forEachId(context, ids, 'stopping', async (id) => {
        const machine = await client.machines.stop(id, { signal });
        return options.json ? json(machine) : line(machine.name);
      });
      context.exitWith(exitCode);
    });
}
