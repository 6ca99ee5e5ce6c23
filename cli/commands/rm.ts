/** `rm`: removes machines with their disks. */
import { Command } from 'commander';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { exitCodes } from '../exit-codes.ts';
import { addFilterOption, findMachines, type MachineFilter } from '../filters.ts';
import { removeMachines } from '../removal.ts';

interface RmOptions {
  readonly force?: true;
  readonly all?: true;
  readonly filter?: MachineFilter;
  readonly json?: true;
}

export function define(context: Context): Command {
  const command = new Command('rm')
    .description('Remove machines with their disks, and print what was removed.')
    .argument('[machine...]', 'ids or names')
    .option('-f, --force', 'also running ones, and those that are starting or stopping')
    .option('-a, --all', 'all machines');
  return addFilterOption(command, 'all that match')
    .option('--json', 'print an object with the ids or names that were removed')
    .action((words: string[], options: RmOptions) => rm(context, words, options));
}

async function rm(context: Context, words: readonly string[], options: RmOptions): Promise<void> {
  const { force = false, all = false, filter, json: isJson = false } = options;
  const isFound = all || filter !== undefined;
  if (isFound === words.length > 0) {
    const message = isFound ? 'machines cannot be named beside --all and --filter' : 'which machines?';
    throw new CliError(message, {
      hint: 'name them, or remove all of them (--all) or those that match (--filter label=team=web)',
      exitCode: exitCodes.usage,
    });
  }
  const found = isFound ? (await findMachines(context, filter ?? {})).items.map(({ name }) => name) : words;
  if (found.length === 0) context.note('no machines to remove');
  await removeMachines(context, found, { force, isJson });
}
