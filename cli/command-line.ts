/**
 * Runs one command of the command line, from its arguments to its exit code. `main.ts` calls it with the process; tests call
 * it with a host of their own, many times in one process. It must not use `process` itself.
 */
import { CommanderError } from 'commander';
import type { CatalogEntry, CommandModule, Invocation } from './catalog.ts';
import { separated, withoutBooleans } from './command-words.ts';
import type { Context, Host } from './context.ts';
import { CliError, Interruption } from './errors.ts';
import { exitCodeOfSignal, exitCodes } from './exit-codes.ts';
import { flush, said } from './output.ts';
import { buildProgram, exitCodeOfUsage, findEntry } from './program.ts';
import { describeUsage, helpOf } from './usage.ts';
import { isAsGiven } from './utf8.ts';

/** Resolves with the exit code when all output has been handed on. */
export async function runCommandLine(argv: readonly string[], host: Host): Promise<number> {
  const { stdout, stderr } = host;
  const args = argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv;
  if (!args.every((arg) => isAsGiven(arg, 'cmdline'))) {
    stderr.write(said('the arguments are not UTF-8', 'error'));
    stderr.write(said('give a command other bytes on standard input (exec -i)', 'hint'));
    return exitCodes.usage;
  }
  const entry = findEntry(args);
  const { exitCode, signal } =
    entry === undefined || entry.load === null
      ? await withoutCommand(args, entry, host)
      : await runEntry(args, entry, entry.load, host);
  await flush(stdout, signal);
  await flush(stderr, signal);
  return exitCode;
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
  host: Host,
): Promise<Ending> {
  let context: Context | undefined;
  let exitCode: number;
  try {
    const [{ Context }, { define }] = await Promise.all([import('./context.ts'), load()]);
    context = new Context(host, invocationOf(entry, args));
    const command = define(context);
    const words = withoutBooleans(command, entry.hasWords ? separated(command, args) : args);
    await buildProgram([command], host).parseAsync(words, { from: 'user' });
    await flush(host.stdout, context.signal);
    context.signal.throwIfAborted();
    exitCode = context.exitCode;
  } catch (error) {
    const reason = context?.signal.aborted ? context.signal.reason : error;
    exitCode = await explain(reason, args, entry, host, context);
  }
  return { exitCode, signal: context?.signal ?? new AbortController().signal };
}

/** The program's own help and version, a command that is the launcher's, and one there is not. */
async function withoutCommand(
  args: readonly string[],
  entry: CatalogEntry | undefined,
  host: Host,
): Promise<Ending> {
  const { stdout, stderr, exit } = host;
  const { signal } = new AbortController();
  stdout.on('error', () => exit(exitCodeOfSignal('PIPE')));
  if (entry !== undefined && !args.includes('--help') && !args.includes('-h')) {
    stderr.write(said(`the launcher runs ${entry.name}, not this program`, 'error'));
    stderr.write(said(`./flotilla ${entry.name} in the checkout`, 'hint'));
    return { exitCode: exitCodes.usage, signal };
  }
  // Help for a command that is not there would be the program's own, as if nothing were wrong.
  const isUnknown = entry === undefined && args.some((arg) => !arg.startsWith('-'));
  const words = isUnknown ? args.filter((arg) => arg !== '--help' && arg !== '-h') : args;
  try {
    await buildProgram([], host).parseAsync(words.length === 0 ? ['--help'] : words, { from: 'user' });
    return { exitCode: exitCodes.ok, signal };
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    stderr.write(describeUsage(error, words));
    return { exitCode: exitCodeOfUsage(error), signal };
  }
}

function invocationOf(entry: CatalogEntry, args: readonly string[]): Invocation {
  return { noun: entry.noun, help: helpOf(entry, args) };
}

async function explain(
  error: unknown,
  args: readonly string[],
  entry: CatalogEntry,
  { stderr }: Host,
  context: Context | undefined,
): Promise<number> {
  if (error instanceof Interruption) return error.exitCode;
  if (error instanceof CommanderError) {
    stderr.write(describeUsage(error, args));
    return exitCodeOfUsage(error);
  }
  const { describeError } = await import('./report.ts');
  const circumstances = { ...invocationOf(entry, args), config: context?.knownConfig ?? null };
  stderr.write(describeError(error, circumstances));
  return error instanceof CliError && error.exitCode !== undefined ? error.exitCode : entry.failureCode;
}
