/** Running a command in a machine with this process's own stdin, stdout and stderr. */
import type { Command } from 'commander';
import type { ExecOutcome, ExecRequest } from '../sdk/src/index.ts';
import type { Context } from './context.ts';
import { addEnvironmentOptions, type EnvironmentOptions, environmentOf } from './environment-options.ts';
import { CliError } from './errors.ts';
import { exitCodes } from './exit-codes.ts';
import { wholeNumber } from './options.ts';
import { printable, write } from './output.ts';

export interface ExecOptions extends EnvironmentOptions {
  readonly timeout: number;
  readonly interactive?: true;
  readonly workdir?: string;
  readonly user?: string;
}

/** Stdin travels inside the request, so it has to be small. */
const stdinBytesMax = 8 * 1024 * 1024;

/** The options `run` and `exec` share. */
export function addExecOptions(command: Command): Command {
  return addEnvironmentOptions(command, 'of the command')
    .option('-i, --interactive', 'forward standard input to the command, up to 8 MiB')
    .option('--timeout <seconds>', 'kill the command after this long', wholeNumber(1, 86_400), 3600)
    .option('-w, --workdir <path>', 'directory to run in')
    .option('-u, --user <user>', 'user to run as, by name or number; USER:GROUP sets the group too');
}

/** Reads stdin to its end when asked to. Throws CliError when it is too long. */
export async function execRequest(
  context: Context,
  command: readonly string[],
  options: ExecOptions,
): Promise<ExecRequest> {
  const env = environmentOf(context, options);
  return {
    command,
    timeout: options.timeout,
    ...(env === undefined ? {} : { env }),
    ...(options.workdir === undefined ? {} : { cwd: options.workdir }),
    ...(options.user === undefined ? {} : { user: options.user }),
    ...(options.interactive === undefined ? {} : { stdin: await readStdin(context) }),
  };
}

/**
 * Streams the command's output byte for byte, as fast as our reader takes it, and gives the exit code that stands
 * for its outcome. An interruption kills the command in the guest and throws.
 */
export async function runCommand(context: Context, machine: string, request: ExecRequest): Promise<number> {
  const { client, signal, streams } = context;
  for await (const event of client.machines.execStream(machine, request, { signal })) {
    if (event.type === 'outcome') return settle(context, event, request);
    await write(streams[event.type], event.data, signal);
  }
  throw new CliError('the command’s output ended without an outcome');
}

function settle(context: Context, outcome: ExecOutcome, request: ExecRequest): number {
  switch (outcome.outcome) {
    case 'exited':
    case 'signalled':
      return outcome.exit_code;
    case 'timed_out':
      context.note(`error: the command was killed after ${request.timeout} s`);
      context.note('hint: --timeout allows more');
      return exitCodes.timedOut;
    case 'unknown':
      context.note(`error: nobody knows how the command ended: ${printable(outcome.reason)}`);
      if (outcome.connection_lost) context.note(`hint: ${whereDaemonIs(context)}`);
      return exitCodes.infrastructure;
  }
}

function whereDaemonIs({ config }: Context): string {
  return config.isLocal
    ? 'is the daemon running? flotilla doctor tells'
    : `is the daemon at ${config.url} running, and the network fine?`;
}

async function readStdin(context: Context): Promise<Uint8Array> {
  const { stdin } = context.streams;
  const onAbort = () => stdin.destroy(context.signal.reason);
  context.signal.addEventListener('abort', onAbort, { once: true });
  try {
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of stdin as AsyncIterable<Uint8Array>) {
      length += chunk.length;
      if (length > stdinBytesMax) {
        const hint = 'give it in smaller parts, or let the command fetch it';
        throw new CliError('stdin is longer than 8 MiB', { hint, exitCode: exitCodes.usage });
      }
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } finally {
    context.signal.removeEventListener('abort', onAbort);
  }
}
