/** `update`: what may be changed of machines that are there. */
import { Command } from 'commander';
import type { RestartPolicy, UpdateMachine } from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { forEachId } from '../each.ts';
import { addEnvironmentOptions, type EnvironmentOptions, environmentOf } from '../environment-options.ts';
import { CliError } from '../errors.ts';
import { exitCodes } from '../exit-codes.ts';
import { lifetime, mebibytesOption, pairs, texts, vcpus } from '../options.ts';
import { json, line } from '../output.ts';
import { resolved } from '../resolve.ts';
import { restartOption } from '../spec-options.ts';

interface UpdateOptions extends EnvironmentOptions {
  readonly label?: Readonly<Record<string, string>>;
  readonly labelRm?: readonly string[];
  readonly envRm?: readonly string[];
  readonly ttl?: number | 'none';
  readonly restart?: RestartPolicy;
  readonly cpus?: number;
  readonly memory?: number;
  readonly disk?: number;
  readonly json?: true;
}

export function define(context: Context): Command {
  const command = new Command('update')
    .description(
      'Change machines, and print their names. Processors, memory and disk only while they are stopped;\n' +
        'a disk only grows.',
    )
    .argument('<machine...>', 'ids or names')
    .option('-l, --label <key=value>', 'set a label (repeatable)', pairs)
    .option('--label-rm <key>', 'remove a label (repeatable)', texts)
    .option('--ttl <time>', 'remove it this long from now, such as 2h; none: never', (text) =>
      text === 'none' ? text : lifetime(text),
    )
    .addOption(restartOption())
    .option('--cpus <count>', 'virtual processors', vcpus)
    .option('-m, --memory <size>', 'memory, such as 512m or 2g', mebibytesOption)
    .option('--disk <size>', 'disk, such as 20g', mebibytesOption);
  return addEnvironmentOptions(command, 'of every command that is run in it')
    .option('--env-rm <key>', 'remove an environment variable (repeatable)', texts)
    .option('--json', 'print an array of the machines as the API gives them')
    .action((words: string[], options: UpdateOptions) => update(context, words, options));
}

async function update(context: Context, words: readonly string[], options: UpdateOptions): Promise<void> {
  const { client, signal } = context;
  const changes = changesOf(context, options);
  if (Object.keys(changes).length === 0) {
    const hint = 'flotilla update --help lists the options';
    throw new CliError('there is nothing to change', { hint, exitCode: exitCodes.usage });
  }
  const machines: unknown[] = [];
  const exitCode = await forEachId(context, words, 'updating', async (word) => {
    const machine = await resolved(context, word, (id) => client.machines.update(id, changes, { signal }));
    machines.push(machine);
    return options.json ? '' : line(machine.name);
  });
  if (options.json) await context.print(json(machines));
  context.exitWith(exitCode);
}

function changesOf(context: Context, options: UpdateOptions): UpdateMachine {
  const { ttl, restart, cpus, memory, disk } = options;
  const labels = merged(options.label, options.labelRm);
  const env = merged(environmentOf(context, options), options.envRm);
  return {
    ...(labels === undefined ? {} : { labels }),
    ...(env === undefined ? {} : { env }),
    ...(ttl === undefined ? {} : { lifetime_seconds: ttl === 'none' ? null : ttl }),
    ...(restart === undefined ? {} : { restart }),
    ...(cpus === undefined ? {} : { vcpu_count: cpus }),
    ...(memory === undefined ? {} : { mem_size_mib: memory }),
    ...(disk === undefined ? {} : { disk_size_mib: disk }),
  };
}

/** What is set, and null for what is removed; undefined when neither is asked for. */
function merged(
  set: Readonly<Record<string, string>> | undefined,
  removed: readonly string[] | undefined,
): Record<string, string | null> | undefined {
  if (set === undefined && removed === undefined) return undefined;
  return { ...Object.fromEntries((removed ?? []).map((key) => [key, null])), ...set };
}
