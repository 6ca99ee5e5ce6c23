/** `run`: one command in a machine of its own. */
import { Command } from 'commander';
import type { Context } from '../context.ts';
import { mebibytesOption, memoryMibFor, randomName, vcpus } from '../options.ts';
import { addExecOptions, type ExecOptions, execRequest, runCommand } from '../streamed-exec.ts';
import { withThrowaway } from '../throwaway.ts';

interface RunOptions extends ExecOptions {
  readonly cpus: number;
  readonly memory?: number;
  readonly disk?: number;
  readonly name?: string;
  readonly keep?: true;
}

export function define(context: Context): Command {
  const command = new Command('run')
    .description(
      'Make a machine from IMAGE, run CMD in it with its output streamed, remove the machine.\n' +
        'Exits with CMD’s own code; 128+n if signal n killed it, 124 if its timeout passed, 125 if the machine failed.',
    )
    .argument('<image>', 'image of the machine, such as debian-12 or busybox')
    .argument('<command...>', 'program and arguments, after --')
    .option('--cpus <count>', 'virtual processors', vcpus, 1)
    .option('--memory <mib>', 'memory in MiB (default: 512, for busybox 128)', mebibytesOption)
    .option('--disk <mib>', 'disk in MiB (default: the image’s)', mebibytesOption)
    .option('--name <name>', 'name of the machine (default: run- and six characters)')
    .option('--keep', 'leave the machine there afterwards');
  return addExecOptions(command).action(async (image: string, words: string[], options: RunOptions) => {
    context.exitWith(await run(context, image, words, options));
  });
}

async function run(
  context: Context,
  image: string,
  words: readonly string[],
  options: RunOptions,
): Promise<number> {
  const request = await execRequest(context, words, options);
  const spec = {
    name: options.name ?? randomName('run'),
    image,
    vcpu_count: options.cpus,
    mem_size_mib: options.memory ?? memoryMibFor(image),
    ...(options.disk === undefined ? {} : { disk_size_mib: options.disk }),
  };
  const throwaway = { spec, isNameOurs: options.name === undefined, keep: options.keep === true };
  return await withThrowaway(context, throwaway, (machine) => runCommand(context, machine.id, request));
}
