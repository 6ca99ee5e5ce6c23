/** The commands that act on this host instead of the API; the launcher starts them here. */
import { Command } from 'commander';
import type { BenchName } from '../../bench/bench.ts';
import { styleHelp } from '../../cli/help-style.ts';
import { type HostCommandName, hostCommand } from '../../cli/host-commands.ts';
import { describeUsage, usageOutput } from '../../cli/usage.ts';
import { AppError } from '../core/errors.ts';
import { soleSentence } from '../lib/sentence.ts';
import { readConfig } from './config.ts';
import type { Role } from './serve.ts';

const program = styleHelp(new Command('flotilla').configureOutput(usageOutput(process))).exitOverride(
  (error) => {
    process.stderr.write(describeUsage(error, process.argv.slice(2)));
    process.exit(error.exitCode === 0 ? 0 : 2);
  },
);

/** Added to the program. */
function command(name: HostCommandName): Command {
  const added = hostCommand(name).copyInheritedSettings(program);
  program.addCommand(added);
  return added;
}

/** A command below another one, by its name. */
function below(parent: Command, name: string): Command {
  const found = parent.commands.find((each) => each.name() === name);
  if (!found) throw new AppError('internal', `no command ${parent.name()} ${name}`);
  return found.copyInheritedSettings(parent);
}

command('setup').action(async (options: { image: string[]; refresh?: boolean; systemd?: boolean }) => {
  const { setUp } = await import('./set-up.ts');
  const { image: names, refresh: isRefresh = false, systemd: isService = false } = options;
  await setUp(readConfig(process.env), process.env, { names, isRefresh, isService });
});

const kernel = command('kernel');
const printLine = (line: string) => void process.stdout.write(`${line}\n`);
below(kernel, 'build').action(async () => {
  const { kernelBuild } = await import('./kernel.ts');
  await kernelBuild(readConfig(process.env), process.env, printLine);
});
below(kernel, 'ls').action(async (options: { json?: boolean }) => {
  const { kernelLs } = await import('./kernel.ts');
  await kernelLs(readConfig(process.env), options.json ?? false, printLine);
});
below(kernel, 'use').action(async (name: string) => {
  const { kernelUse } = await import('./kernel.ts');
  await kernelUse(readConfig(process.env), process.env, name, printLine);
});
below(kernel, 'rm').action(async (name: string) => {
  const { kernelRm } = await import('./kernel.ts');
  await kernelRm(readConfig(process.env), process.env, name, printLine);
});

command('serve').action(async (options: { adoptState?: boolean; role: Role }) => {
  const { serve } = await import('./serve.ts');
  const { AlreadyRunning, alreadyRunningExitCode } = await import('./daemon-lock.ts');
  try {
    const { role, adoptState: isAdopting = false } = options;
    await serve(readConfig(process.env), { role, isAdopting });
  } catch (error) {
    printError(error);
    process.exitCode = error instanceof AlreadyRunning ? alreadyRunningExitCode : 1;
  }
});

command('up').action(async () => {
  const { up } = await import('./up.ts');
  await up(readConfig(process.env), process.env);
});

command('down').action(async (options: { machines?: boolean }) => {
  const { down } = await import('./down.ts');
  await down(readConfig(process.env), { stopMachines: options.machines ?? false });
});

command('doctor').action(async (options: { json?: boolean; deep?: boolean }) => {
  const { doctor } = await import('./doctor.ts');
  const { json: isJson = false, deep: isDeep = false } = options;
  // A program that hangs inside the kernel would keep this one alive.
  process.exit(await doctor(readConfig(process.env), process.env, { isJson, isDeep }));
});

command('gc').action(async (options: { dryRun?: boolean }) => {
  const { gc } = await import('./gc.ts');
  await gc(readConfig(process.env), { isDryRun: options.dryRun ?? false }, printLine);
});

command('bench').action(
  async (name: BenchName, options: { json?: boolean; samples?: number; image: string; quick?: boolean }) => {
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
  process.stderr.write(`error: ${soleSentence(message)}\n`);
  const hint = hintOf(error);
  if (hint) process.stderr.write(`hint: ${soleSentence(hint)}\n`);
  if (!hint && !(error instanceof AppError) && error instanceof Error)
    process.stderr.write(`${error.stack}\n`);
}

function hintOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('hint' in error)) return undefined;
  return typeof error.hint === 'string' ? error.hint : undefined;
}
