/** `create`: a machine that stays. */
import { Command } from 'commander';
import { FlotillaError, type MachineCreate } from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { mebibytesOption, memoryMibFor, pairs, ports, randomName, vcpus } from '../options.ts';
import { json, line } from '../output.ts';

interface CreateOptions {
  readonly name?: string;
  readonly cpus: number;
  readonly memory?: number;
  readonly disk?: number;
  readonly port?: readonly number[];
  readonly label?: Readonly<Record<string, string>>;
  readonly start?: true;
  readonly json?: true;
}

export function define(context: Context): Command {
  return new Command('create')
    .description('Make a machine and print its name.')
    .argument('[image]', 'image of the machine', 'debian-12')
    .option('--name <name>', 'name of the machine (default: machine- and six characters)')
    .option('--cpus <count>', 'virtual processors', vcpus, 1)
    .option('--memory <mib>', 'memory in MiB (default: 512, for busybox 128)', mebibytesOption)
    .option('--disk <mib>', 'disk in MiB (default: the image’s)', mebibytesOption)
    .option('-p, --port <port>', 'port the reverse proxy may reach (repeatable)', ports)
    .option('-l, --label <key=value>', 'label (repeatable)', pairs)
    .option('--start', 'start it too, and wait until its guest answers')
    .option('--json', 'print the machine as the API gives it')
    .action((image: string, options: CreateOptions) => create(context, image, options));
}

async function create(context: Context, image: string, options: CreateOptions): Promise<void> {
  const { client, signal } = context;
  const spec: MachineCreate = {
    name: options.name ?? randomName('machine'),
    image,
    vcpu_count: options.cpus,
    mem_size_mib: options.memory ?? memoryMibFor(image),
    ...(options.disk === undefined ? {} : { disk_size_mib: options.disk }),
    ...(options.port === undefined ? {} : { exposed_ports: options.port }),
    ...(options.label === undefined ? {} : { labels: options.label }),
  };
  let machine = await client.machines.create(spec, { signal });
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
  if (signal.aborted) return '; its start goes on';
  const isAnswered = error instanceof FlotillaError && error.status > 0;
  return isAnswered ? ', but not started' : '; its start may go on';
}
