/** `create`: makes a machine that stays until it is removed. */
import { Command } from 'commander';
import { FlotillaError, type MachineCreate } from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { addEnvironmentOptions, type EnvironmentOptions, environmentOf } from '../environment-options.ts';
import { randomName } from '../options.ts';
import { json, line } from '../output.ts';
import { addSpecOptions, type SpecOptions, specOf } from '../spec-options.ts';

interface CreateOptions extends SpecOptions, EnvironmentOptions {
  readonly name?: string;
  readonly start?: true;
  readonly json?: true;
}

export function define(context: Context): Command {
  const command = new Command('create')
    .description('Make a machine and print its name.')
    .argument(
      '[image]',
      'image of the machine (default: the template’s, or debian-12; none with --from-snapshot)',
    )
    .option('--name <name>', 'name of the machine (default: machine- and six characters)');
  return addEnvironmentOptions(addSpecOptions(command), 'of every command in it')
    .option('--start', 'start it, and wait until its guest answers')
    .option('--json', 'print the machine as the API gives it')
    .action((image: string | undefined, options: CreateOptions) => create(context, image, options));
}

async function create(context: Context, image: string | undefined, options: CreateOptions): Promise<void> {
  const { client, signal } = context;
  const env = environmentOf(context, options);
  const spec: MachineCreate = {
    ...specOf(options.name ?? randomName('machine'), image, options),
    ...(env === undefined ? {} : { env }),
  };
  const made = () => client.machines.create(spec, { signal });
  let machine = await context.progress.during(() => `creating ${spec.name}`, made);
  if (machine.image_note) context.note(machine.image_note);
  if (options.start) {
    try {
      const { id } = machine;
      const start = () => client.machines.start(id, { signal });
      machine = await context.progress.during(() => `starting ${spec.name}`, start);
    } catch (error) {
      context.note(`machine ${machine.name} was made${outcomeOfStart(error, signal)}`);
      throw error;
    }
  }
  await context.print(options.json ? json(machine) : line(machine.name));
}

/** A start is the daemon's own once it was asked for: only its answer says that there is none. */
function outcomeOfStart(error: unknown, signal: AbortSignal): string {
  if (signal.aborted) return '; its start continues';
  const isAnswered = error instanceof FlotillaError && error.status > 0;
  return isAnswered ? ', but not started' : '; its start may continue';
}
