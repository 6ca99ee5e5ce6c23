/**
 * The commands that act on this host: their options, for whoever runs them (`src/main/cli.ts`) and for help and completion
 * here. They do nothing by themselves.
 */
import { Argument, Command, InvalidArgumentError, Option } from 'commander';

const makers = {
  up: () => new Command('up').description('set up this host, start the daemon and a first machine'),
  setup: () =>
    new Command('setup')
      .description('install what is missing, build guest agent and launch shim, make kernel and images')
      .option('--image <name...>', 'images to make', ['busybox', 'debian-12'])
      .option('--refresh', 'also replace the kernel and images that are there by what the archive has now')
      .option('--systemd', 'also install a systemd service for the daemon'),
  serve: () =>
    new Command('serve')
      .description('run the daemon in the foreground')
      .option('--adopt-state', 'record the machines of the state directory anew, when the database is lost'),
  down: () =>
    new Command('down')
      .description('stop the daemon; machines keep running')
      .option('--machines', 'stop the machines first'),
  doctor: () =>
    new Command('doctor')
      .description('check this host: what works, what is missing, what is inconsistent; change nothing')
      .option('--json', 'print one JSON object')
      .option('--deep', 'also read images whole and compare their digests'),
  gc: () =>
    new Command('gc')
      .description('remove disks of unknown machines that were put aside')
      .option('--dry-run', 'only print what would be removed'),
  bench: () =>
    new Command('bench')
      .description('measure this host in ratios, with a daemon and machines of its own')
      .addArgument(new Argument('<what>', 'what to measure').choices(['boot', 'exec', 'api', 'hostile']))
      .option('--json', 'print one JSON object')
      .option('--samples <count>', 'how many rounds', positiveInteger)
      .addOption(new Option('--image <image>', 'what machines start from').default('busybox'))
      .option('--quick', 'api: without the memory of a daemon with 20 machines'),
} satisfies Readonly<Record<string, () => Command>>;

export type HostCommandName = keyof typeof makers;

/** The command without what it does. */
export function hostCommand(name: HostCommandName): Command {
  return makers[name]();
}

export function isHostCommand(name: string): name is HostCommandName {
  return Object.hasOwn(makers, name);
}

function positiveInteger(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('It must be a whole number above 0.');
}
