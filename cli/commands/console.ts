/** `console`: what a machine printed, and prints. */
import { Command, Option } from 'commander';
import { FlotillaError } from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { addAlias } from '../option-aliases.ts';
import { wholeNumber } from '../options.ts';
import { json, terminalText } from '../output.ts';
import { isTerminal } from '../progress.ts';
import { resolved } from '../resolve.ts';

interface ConsoleOptions {
  readonly lines: number;
  readonly follow?: true;
  readonly timestamps?: true;
  readonly previous?: true;
  readonly raw?: true;
  readonly json?: true;
}

/** As long as a timer can be: a machine may have nothing to say for weeks. */
const silenceMsMax = 2 ** 31 - 1;
/** How long the daemon may take to notice that a guest has ended. */
const noticeSeconds = 2;
const askMs = 5_000;

export function define(context: Context): Command {
  const command = new Command('console')
    .description(
      'Print the last lines of a machine’s console, from its current or latest boot.\n' +
        'The guest writes the text; on a terminal, control characters are replaced.',
    )
    .argument('<machine>', 'id or name')
    .option('-n, --lines <count>', 'number of lines', wholeNumber(1, 10_000), 100)
    .option('-f, --follow', 'continue with new output until the machine stops')
    .option('-t, --timestamps', 'begin each line with the time at which the daemon saw it')
    .option('-p, --previous', 'print the console of the previous boot, for example of one that crashed')
    .option('--raw', 'print the bytes as the guest sent them, on a terminal too')
    .addOption(
      new Option('--json', 'print an object with the machine and the text').conflicts(['follow', 'raw']),
    )
    .action((word: string, options: ConsoleOptions) =>
      resolved(context, word, (machine) => show(context, machine, options)),
    );
  return addAlias(command, '--lines', '--tail');
}

async function show(context: Context, machine: string, options: ConsoleOptions): Promise<void> {
  const { lines, timestamps, previous } = options;
  const { signal, streams } = context;
  const isCleaned = isTerminal(streams.stdout) && options.raw !== true;
  const clean = isCleaned ? terminalText() : (text: string) => text;
  // A previous boot has ended: there is nothing to follow.
  if (options.follow && !previous) {
    const following = { lines, timestamps, signal, silenceMs: silenceMsMax };
    for await (const text of context.patientClient.machines.followConsole(machine, following)) {
      await context.print(clean(text));
    }
    await checkEnded(context, machine);
    return;
  }
  const text = await context.client.machines.console(machine, { lines, timestamps, previous }, { signal });
  await context.print(options.json ? json({ machine, text }) : clean(text));
}

/** Throws CliError when the machine that was followed still runs, or when that cannot be found out. */
async function checkEnded({ client, signal }: Context, machine: string): Promise<void> {
  try {
    const { status } = await client.machines.get(machine, { signal, timeoutMs: askMs });
    if (status !== 'running' && status !== 'paused') return;
    const query = { status: 'stopped', timeout: noticeSeconds } as const;
    await client.machines.wait(machine, query, { signal, timeoutMs: noticeSeconds * 1000 + askMs });
  } catch (error) {
    signal.throwIfAborted();
    const status = error instanceof FlotillaError ? error.status : 0;
    // It is gone, or it has failed.
    if (status === 404 || status === 400) return;
    const hint = `flotilla console -f ${machine} follows it again`;
    if (status === 504) throw new CliError(`the console of ${machine} ended, but the machine runs`, { hint });
    const reason = error instanceof Error ? error.message : String(error);
    throw new CliError(`the console of ${machine} ended, perhaps not the machine: ${reason}`, { hint });
  }
}
