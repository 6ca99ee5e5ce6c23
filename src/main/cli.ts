/** The commands that act on this host rather than on the API; the launcher sends them here. */
import { Argument, Command, InvalidArgumentError } from 'commander';
import type { BenchName } from '../../bench/bench.ts';
import { AppError } from '../core/errors.ts';
import { readConfig } from './config.ts';

const program = new Command('flotilla').exitOverride((error) => {
  process.exit(error.exitCode === 0 ? 0 : 2);
});

program
  .command('setup')
  .description('install what is missing, build guest agent and launch shim, make kernel and images')
  .option('--image <name...>', 'images to make', ['busybox', 'debian-12'])
  .option('--refresh', 'also replace the kernel and images that are there by what the archive has now')
  .option('--systemd', 'also install a systemd service for the daemon')
  .action(async (options: { image: string[]; refresh?: boolean; systemd?: boolean }) => {
    const { setUp } = await import('./set-up.ts');
    const { image: names, refresh: isRefresh = false, systemd: isService = false } = options;
    await setUp(readConfig(process.env), process.env, { names, isRefresh, isService });
  });

program
  .command('serve')
  .description('run the daemon in the foreground')
  .option('--adopt-state', 'record the machines of the state directory anew, when the database is lost')
  .action(async (options: { adoptState?: boolean }) => {
    const { serve } = await import('./serve.ts');
    const { AlreadyRunning, alreadyRunningExitCode } = await import('./daemon-lock.ts');
    try {
      await serve(readConfig(process.env), { isAdopting: options.adoptState ?? false });
    } catch (error) {
      printError(error);
      process.exitCode = error instanceof AlreadyRunning ? alreadyRunningExitCode : 1;
    }
  });

program
  .command('up')
  .description('set up this host, start the daemon and a first machine')
  .action(async () => {
    const { up } = await import('./up.ts');
    await up(readConfig(process.env), process.env);
  });

program
  .command('down')
  .description('stop the daemon; machines go on')
  .option('--machines', 'stop the machines first')
  .action(async (options: { machines?: boolean }) => {
    const { down } = await import('./down.ts');
    await down(readConfig(process.env), { stopMachines: options.machines ?? false });
  });

program
  .command('doctor')
  .description('say what works here, what is missing, and what does not fit together; change nothing')
  .option('--json', 'print one JSON object')
  .option('--deep', 'also read images whole and compare their digests')
  .action(async (options: { json?: boolean; deep?: boolean }) => {
    const { doctor } = await import('./doctor.ts');
    const { json: isJson = false, deep: isDeep = false } = options;
    // A program that hangs inside the kernel would keep this one alive.
    process.exit(await doctor(readConfig(process.env), process.env, { isJson, isDeep }));
  });

program
  .command('gc')
  .description('remove disks of unknown machines that were put aside')
  .option('--dry-run', 'only say what would be removed')
  .action(async (options: { dryRun?: boolean }) => {
    const { gc } = await import('./gc.ts');
    const print = (line: string) => process.stdout.write(`${line}\n`);
    await gc(readConfig(process.env), { isDryRun: options.dryRun ?? false }, print);
  });

program
  .command('bench')
  .description('measure this host in ratios, with a daemon and machines of its own')
  .addArgument(new Argument('<name>', 'what to measure').choices(['boot', 'exec', 'api', 'hostile']))
  .option('--json', 'print one JSON object')
  .option('--samples <n>', 'how many rounds', positiveInteger)
  .option('--image <name>', 'what machines start from', 'busybox')
  .option('--quick', 'api: without the memory of a daemon with 20 machines')
  .action(
    async (
      name: BenchName,
      options: { json?: boolean; samples?: number; image: string; quick?: boolean },
    ) => {
      const { bench } = await import('../../bench/bench.ts');
      const { json: isJson = false, quick: isQuick = false, samples = null, image } = options;
      process.exitCode = await bench(name, process.env, { isJson, isQuick, samples, image });
    },
  );

try {
  await program.parseAsync();
} catch (error) {
  printError(error);
  process.exitCode = 1;
}

function printError(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`error: ${message}\n`);
  const hint = hintOf(error);
  if (hint) process.stderr.write(`hint: ${hint}\n`);
  if (!hint && !(error instanceof AppError) && error instanceof Error)
    process.stderr.write(`${error.stack}\n`);
}

function positiveInteger(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('must be a whole number above 0.');
}

function hintOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('hint' in error)) return undefined;
  return typeof error.hint === 'string' ? error.hint : undefined;
}
