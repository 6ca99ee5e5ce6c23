/**
 * The commands that act on this host: their options, for whoever runs them (`src/main/cli.ts`) and for help and completion
 * here. They do nothing by themselves.
 */
import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { styleUsage } from './help-style.ts';

const makers = {
  up: () => new Command('up').description('Set up this host, start the daemon and a first machine.'),
  setup: () =>
    new Command('setup')
      .description('Install what is missing, build guest agent and launch shim, make kernel and images.')
      .option('--image <name...>', 'images to make', ['busybox', 'debian-12'])
      .option('--refresh', 'also replace the kernel and images by the newest ones')
      .option('--systemd', 'also install a systemd service for the daemon'),
  kernel: () =>
    new Command('kernel')
      .description('Manage the kernels that guests boot.')
      .helpCommand(false)
      .addCommand(
        new Command('build').description(
          'Compile a kernel that boots faster and runs Docker, from Debian’s source: about 10 minutes.',
        ),
      )
      .addCommand(
        new Command('ls')
          .description('List the kernels of the cache, the newest first.')
          .option('--json', 'print one JSON object'),
      )
      .addCommand(
        new Command('use')
          .description('Boot guests with another kernel, from their next start on.')
          .argument('<kernel>', 'a name of `flotilla kernel ls`, or its newest of a kind: built, debian'),
      )
      .addCommand(
        new Command('rm')
          .description('Remove a kernel that guests do not boot.')
          .argument('<kernel>', 'a name of `flotilla kernel ls`'),
      ),
  serve: () =>
    new Command('serve')
      .description('Run the daemon in the foreground.')
      .addOption(
        new Option('--role <role>', 'host: also serve TTstack’s host API at FLOTILLA_AGENT_LISTEN')
          .choices(['all-in-one', 'host'])
          .default('all-in-one'),
      )
      .option('--adopt-state', 'record the machines of the state directory again when the database is lost'),
  down: () =>
    new Command('down')
      .description('Stop the daemon; machines keep running.')
      .option('--machines', 'stop the machines first'),
  doctor: () =>
    new Command('doctor')
      .description('Check this host: what works, what is missing, what is inconsistent. Changes nothing.')
      .option('--json', 'print one JSON object')
      .option('--deep', 'also read images whole and compare their digests'),
  gc: () =>
    new Command('gc')
      .description('Remove disks of unknown machines that were put aside.')
      .option('--dry-run', 'only print what would be removed'),
  bench: () =>
    new Command('bench')
      .description('Measure this host in ratios, with a daemon and machines of its own.')
      .addArgument(
        new Argument('<what>', 'benchmark to run').choices([
          'boot',
          'start',
          'exec',
          'files',
          'api',
          'dialects',
          'hostile',
          'net',
          'proxy',
          'quota',
          'snapshot',
          'fork',
          'density',
        ]),
      )
      .option('--json', 'print one JSON object')
      .option('--samples <count>', 'number of rounds', positiveInteger)
      .addOption(new Option('--image <image>', 'image of the machines').default('busybox'))
      .option(
        '--quick',
        'leave out the slow parts: api without 20 machines, exec without qemu-guest-agent and ssh',
      ),
} satisfies Readonly<Record<string, () => Command>>;

export type HostCommandName = keyof typeof makers;

/** The command without what it does. */
export function hostCommand(name: HostCommandName): Command {
  const command = styleUsage(makers[name]());
  for (const below of command.commands) styleUsage(below);
  return command;
}

export function isHostCommand(name: string): name is HostCommandName {
  return Object.hasOwn(makers, name);
}

function positiveInteger(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('It must be a whole number above 0.');
}
