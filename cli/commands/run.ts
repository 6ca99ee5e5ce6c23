/** `run`: one command in a machine of its own. */
import { Command, Option } from 'commander';
import type { Context } from '../context.ts';
import { randomName } from '../options.ts';
import { addSpecOptions, type SpecOptions, specOf } from '../spec-options.ts';
import { addExecOptions, type ExecOptions, execRequest, runCommand } from '../streamed-exec.ts';
import { withThrowaway } from '../throwaway.ts';

interface RunOptions extends ExecOptions, SpecOptions {
  readonly name?: string;
  readonly keep?: true;
}

export function define(context: Context): Command {
  const command = new Command('run')
    .description(
      'Make a machine from IMAGE, run CMD in it with its output streamed, remove the machine.\n' +
        'Options go before CMD; what follows it belongs to CMD.\n' +
        'Exits with CMD’s own code; 128+n if signal n killed it, 124 if its timeout passed, 125 if the machine failed.',
    )
    .argument('<image>', 'image of the machine, such as debian-12 or busybox')
    .argument('<command...>', 'program and arguments')
    .option('--name <name>', 'name of the machine (default: run- and six characters)')
    .option('--keep', 'leave the machine there afterwards')
    // Docker's habit; it is removed anyway.
    .addOption(new Option('--rm').hideHelp());
  return addExecOptions(addSpecOptions(command)).action(
    async (image: string, words: string[], options: RunOptions) => {
      context.exitWith(await run(context, image, words, options));
    },
  );
}

async function run(
  context: Context,
  image: string,
  words: readonly string[],
  options: RunOptions,
): Promise<number> {
  const request = await execRequest(context, words, options);
  const spec = specOf(options.name ?? randomName('run'), image, options);
  const throwaway = { spec, isNameOurs: options.name === undefined, keep: options.keep === true };
  return await withThrowaway(context, throwaway, (machine) => runCommand(context, machine.id, request));
}
