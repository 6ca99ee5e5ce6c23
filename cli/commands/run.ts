/** `run`: one command in a machine of its own. */
import { Command, Option } from 'commander';
import type { Context } from '../context.ts';
import { randomName } from '../options.ts';
import { addSpecOptions, type SpecOptions, specOf } from '../spec-options.ts';
import {
  addExecOptions,
  type ExecOptions,
  execRequest,
  requireStreams,
  runCommand,
} from '../streamed-exec.ts';
import { withThrowaway } from '../throwaway.ts';

interface RunOptions extends ExecOptions, SpecOptions {
  readonly name?: string;
  readonly keep?: true;
  readonly rm?: boolean;
}

export function define(context: Context): Command {
  const command = new Command('run')
    .description(
      'Make a machine from IMAGE, run CMD in it with its output streamed, remove the machine.\n' +
        'Options go before CMD; what follows it belongs to CMD.\n' +
        'With --template or --from-snapshot there is no IMAGE.\n' +
        'Exits with CMD’s own code; 128+n if signal n killed it, 124 if its timeout passed, 125 if the machine failed.',
    )
    .argument('<image>', 'image of the machine, such as debian-12 or busybox')
    .argument('[cmd...]', 'program and arguments')
    .option('--name <name>', 'name of the machine (default: run- and six characters)')
    .option('--keep', 'keep the machine afterwards')
    // Docker's habits: --rm is what happens anyway, --rm=false keeps the machine.
    .addOption(new Option('--rm').hideHelp())
    .addOption(new Option('--no-rm').hideHelp());
  return addExecOptions(addSpecOptions(command)).action(
    async (first: string, rest: string[], options: RunOptions) => {
      const hasNoImage = options.template !== undefined || options.fromSnapshot !== undefined;
      const words = hasNoImage ? [first, ...rest] : rest;
      if (words.length === 0) command.error("error: missing required argument 'cmd'");
      context.exitWith(await run(context, hasNoImage ? undefined : first, words, options));
    },
  );
}

async function run(
  context: Context,
  image: string | undefined,
  words: readonly string[],
  options: RunOptions,
): Promise<number> {
  requireStreams(context, options);
  const request = execRequest(context, words, options);
  const spec = specOf(options.name ?? randomName('run'), image, options);
  const throwaway = {
    spec,
    isNameOurs: options.name === undefined,
    keep: options.keep === true || options.rm === false,
  };
  return await withThrowaway(context, throwaway, (machine, keep) =>
    runCommand(context, machine, request, options, keep),
  );
}
