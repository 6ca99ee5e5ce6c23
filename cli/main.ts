#!/usr/bin/env node
/**
 * The command line of Flotilla: everything that goes through the API. Exit codes are in `exit-codes.ts`; what a
 * command prints for programs goes to stdout, everything said to people about it to stderr.
 */
import { CommanderError } from 'commander';
import type { CatalogEntry, CommandModule } from './catalog.ts';
import { separated } from './command-words.ts';
import type { Context } from './context.ts';
import { CliError, Interruption } from './errors.ts';
import { exitCodeOfSignal, exitCodes } from './exit-codes.ts';
import { flush } from './output.ts';
import { buildProgram, exitCodeOfUsage, findEntry } from './program.ts';
import { isAsGiven } from './utf8.ts';

const { stdin, stdout, stderr } = process;
await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<void> {
  const args = argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv;
  if (!args.every((arg) => isAsGiven(arg, 'cmdline'))) {
    stderr.write(
      'error: The arguments are not UTF-8\nhint: Give a command other bytes on standard input (exec -i)\n',
    );
    process.exit(exitCodes.usage);
  }
  const entry = findEntry(args);
  const { exitCode, signal } =
    entry === undefined || entry.load === null
      ? await withoutCommand(args, entry)
      : await runEntry(args, entry, entry.load);
  await flush(stdout, signal);
  await flush(stderr, signal);
  process.exit(exitCode);
}

interface Ending {
  readonly exitCode: number;
  /** Aborted when nobody waits for the rest of our output. */
  readonly signal: AbortSignal;
}

async function runEntry(
  args: readonly string[],
  entry: CatalogEntry,
  load: () => Promise<CommandModule>,
): Promise<Ending> {
  let context: Context | undefined;
  let exitCode: number;
  try {
    const [{ Context }, { define }] = await Promise.all([import('./context.ts'), load()]);
    context = new Context(process.env, { stdin, stdout, stderr }, entry.noun);
    const command = define(context);
    const words = entry.hasWords ? separated(command, args) : args;
    await buildProgram([command]).parseAsync(words, { from: 'user' });
    await flush(stdout, context.signal);
    context.signal.throwIfAborted();
    exitCode = context.exitCode;
  } catch (error) {
    exitCode = await explain(context?.signal.aborted ? context.signal.reason : error, entry, context);
  }
  return { exitCode, signal: context?.signal ?? new AbortController().signal };
}

/** The program's own help and version, a command that is the launcher's, and one there is not. */
async function withoutCommand(args: readonly string[], entry: CatalogEntry | undefined): Promise<Ending> {
  const { signal } = new AbortController();
  stdout.on('error', () => process.exit(exitCodeOfSignal('PIPE')));
  if (entry !== undefined && !args.includes('--help') && !args.includes('-h')) {
    stderr.write(`error: '${entry.name}' is the launcher's: ./flotilla ${entry.name}\n`);
    return { exitCode: exitCodes.usage, signal };
  }
  // Help for a command that is not there would be the program's own, as if nothing were wrong.
  const isUnknown = entry === undefined && args.some((arg) => !arg.startsWith('-'));
  const words = isUnknown ? args.filter((arg) => arg !== '--help' && arg !== '-h') : args;
  try {
    await buildProgram([]).parseAsync(words.length === 0 ? ['--help'] : words, { from: 'user' });
    return { exitCode: exitCodes.ok, signal };
  } catch (error) {
    if (error instanceof CommanderError) return { exitCode: exitCodeOfUsage(error), signal };
    throw error;
  }
}

async function explain(error: unknown, entry: CatalogEntry, context: Context | undefined): Promise<number> {
  if (error instanceof Interruption) return error.exitCode;
  if (error instanceof CommanderError) {
    // commander has printed its own message.
    if (error.code === 'commander.unknownOption' && entry.hasWords) {
      stderr.write(`hint: options of CMD follow it: flotilla ${entry.name} ${entry.terms}\n`);
    }
    return exitCodeOfUsage(error);
  }
  const { describeError } = await import('./report.ts');
  stderr.write(describeError(error, { config: context?.knownConfig ?? null, noun: entry.noun }));
  return error instanceof CliError && error.exitCode !== undefined ? error.exitCode : entry.failureCode;
}
