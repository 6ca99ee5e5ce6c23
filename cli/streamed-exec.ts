/** Running a command in a machine with this process's own stdin, stdout and stderr; what `exec` and `run` have in common. */
import type { Command } from 'commander';
import type { ExecOutcome, StartExec, StartedExec } from '../sdk/src/index.ts';
import { again } from './again.ts';
import { feedOurs } from './attachment.ts';
import type { Context } from './context.ts';
import { addEnvironmentOptions, type EnvironmentOptions, environmentOf } from './environment-options.ts';
import { CliError } from './errors.ts';
import { settle } from './exec-outcome.ts';
import { printOutput } from './exec-output.ts';
import { addAlias } from './option-aliases.ts';
import { wholeNumber } from './options.ts';
import { write } from './output.ts';
import { requireTerminal, runInTerminal, terminalRequest } from './terminal/attached-terminal.ts';
import { detachKeys, detachKeysDefault } from './terminal/detach-keys.ts';

export interface ExecOptions extends EnvironmentOptions {
  readonly timeout?: number;
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly workdir?: string;
  readonly user?: string;
  readonly detachKeys?: Uint8Array;
}

/** A machine, and how the user named it. */
export interface Place {
  readonly id: string;
  readonly name: string;
}

/** Of a command whose output is streamed; one with a terminal, or in the background, has no limit. */
const timeoutSecondsDefault = 3600;

/** The options `run` and `exec` share. */
export function addExecOptions(command: Command): Command {
  addEnvironmentOptions(command, 'of the command')
    .option('-i, --interactive', 'forward standard input to the command')
    .option('-t, --tty', 'give the command a terminal')
    .option(
      '--timeout <seconds>',
      `kill the command after this long (default: ${timeoutSecondsDefault}; with a terminal or in the background: never)`,
      wholeNumber(1, 86_400),
    )
    .option('-w, --workdir <path>', 'directory to run in')
    .option('-u, --user <user>', 'user to run as, by name or number; USER:GROUP sets the group too');
  addDetachKeys(command);
  return addAlias(command, '--workdir', '--cwd');
}

export function addDetachKeys(command: Command): Command {
  return command.option(
    '--detach-keys <keys>',
    `keys that leave a command with a terminal running (default: ${detachKeysDefault})`,
    detachKeys,
  );
}

/** The request that the options make. Throws CliError when a terminal is wanted and there is none. */
export function execRequest(context: Context, command: readonly string[], options: ExecOptions): StartExec {
  const { interactive = false, tty, timeout, workdir, user } = options;
  const env = environmentOf(context, options);
  return {
    command: [...command],
    ...(env === undefined ? {} : { env }),
    ...(timeout === undefined ? {} : { timeout }),
    ...(workdir === undefined ? {} : { cwd: workdir }),
    ...(user === undefined ? {} : { user }),
    ...(interactive ? { stdin_open: true } : {}),
    ...(tty ? terminalRequest(context, env) : {}),
  };
}

/**
 * Runs the command as the options say and gives the exit code that stands for its outcome. `onLeft` is called when a command
 * with a terminal was left, and runs on.
 */
export async function runCommand(
  context: Context,
  machine: Place,
  request: StartExec,
  { interactive = false, tty, detachKeys: keys }: ExecOptions,
  onLeft: () => void = () => undefined,
): Promise<number> {
  const { id, name } = machine;
  if (!tty) return streamCommand(context, id, { timeout: timeoutSecondsDefault, ...request });
  return runInTerminal(context, id, request, { name, hasStdin: interactive, keys, onLeft });
}

/** Whether this process has what the options need; called before anything is made. Throws CliError. */
export function requireStreams(context: Context, { interactive = false, tty }: ExecOptions): void {
  if (tty) requireTerminal(context, interactive);
}

/**
 * Streams the output byte for byte, as fast as our reader takes it. An interruption kills the command in the guest and throws.
 * When the connection is lost, the output continues over another one, but an input that is cut ends the command.
 */
async function streamCommand(context: Context, machine: string, request: StartExec): Promise<number> {
  const { client, streams } = context;
  const over = new AbortController();
  const cut = new AbortController();
  const signal = AbortSignal.any([cut.signal, context.signal]);
  let started: StartedExec | null = null;
  let cursor = 0;
  const onStarted = (command: StartedExec) => {
    started = command;
    if (request.stdin_open) {
      const feeding = AbortSignal.any([over.signal, signal]);
      void feedOurs(context, machine, command.id, feeding, (error) => cut.abort(inputWasCut(error)));
    }
  };
  try {
    const events = client.machines.execStream(machine, request, { signal, onStarted });
    for await (const event of events) {
      if (event.type === 'outcome') {
        const isLost = event.outcome === 'unknown' && event.connection_lost === true;
        const outcome = isLost && started !== null ? await resumed(context, started, cursor, signal) : event;
        return settle(context, outcome, request.timeout);
      }
      await write(streams[event.type], event.data, signal);
      cursor += event.data.length;
    }
    throw new CliError('the command’s output ended without an outcome');
  } finally {
    over.abort(new Error('the command has ended'));
  }
}

/** The rest of the output, from a cursor on, when the connection was lost. */
async function resumed(
  context: Context,
  { id, machine_id: machine }: StartedExec,
  from: number,
  signal: AbortSignal,
): Promise<ExecOutcome> {
  const { client } = context;
  const onLost = () => context.note('the daemon cannot be reached; trying again');
  try {
    await again({ signal, onLost }, () => client.execs.get(machine, id, { signal }));
    const options = { from, isFollowed: true, isRaw: true, signal };
    const outcome = await printOutput(context, machine, { id, first_cursor: 0 }, options);
    return outcome ?? { outcome: 'unknown', reason: 'the output ended before the command' };
  } catch (error) {
    if (signal.aborted)
      await client.execs.delete(machine, id, { timeoutMs: farewellMs }).catch(() => undefined);
    throw error;
  }
}

/** Part of an input must not be taken for all of it. */
function inputWasCut(error: unknown): CliError {
  const reason = error instanceof Error ? error.message : String(error);
  return new CliError(`standard input was cut, so the command was ended: ${reason}`, {
    hint: 'run it again',
  });
}

/** How long the end of a command may take that nobody waits for any more. */
const farewellMs = 5_000;
