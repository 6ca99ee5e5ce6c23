/** `rename`: gives a machine another name. */
import { Command } from 'commander';
import type { Context } from '../context.ts';
import { json, line } from '../output.ts';
import { resolved } from '../resolve.ts';

export function define(context: Context): Command {
  return new Command('rename')
    .description('Give a machine another name, and print it. Its guest is told at its next start.')
    .argument('<machine>', 'id or name')
    .argument('<name>', 'the new name')
    .option('--json', 'print the machine as the API gives it')
    .action(async (word: string, name: string, options: { readonly json?: true }) => {
      const { client, signal } = context;
      const machine = await resolved(context, word, (id) => client.machines.update(id, { name }, { signal }));
      await context.print(options.json ? json(machine) : line(machine.name));
    });
}
