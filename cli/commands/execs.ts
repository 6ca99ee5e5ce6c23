/** `execs`: the commands of a machine that outlive their callers. */
import { Command } from 'commander';
import type { Exec, ExecOutcome } from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { forEachId } from '../each.ts';
import { CliError } from '../errors.ts';
import { commandText, execNamed, findExec, listExecs } from '../exec-lookup.ts';
import { settle } from '../exec-outcome.ts';
import { printOutput } from '../exec-output.ts';
import { addListingOptions, type ListingOptions, limitOf, printListing } from '../listing.ts';
import { addAlias } from '../option-aliases.ts';
import { wholeNumber } from '../options.ts';
import { age, byteCount, json, line, momentAgo, paintStatus, pairsText, secondsText } from '../output.ts';
import type { Column } from '../table.ts';

interface JsonOption {
  readonly json?: true;
}

interface LogsOptions {
  readonly follow?: true;
  readonly from?: number;
  readonly raw?: true;
}

const machineArgument = ['<machine>', 'id or name of the machine'] as const;
const execArgument = ['<exec>', 'id of the command, or its beginning'] as const;
const execsArgument = ['<exec...>', 'ids of the commands, or their beginnings'] as const;

export function define(context: Context): Command {
  const { client, signal } = context;
  const noun = new Command('execs').description(
    'List the commands of a machine: flotilla execs MACHINE. Or manage them.\n' +
      'They are those of exec and exec -d since the machine’s last start.\n' +
      'At most 64 are kept: ended ones make room for new ones.',
  );
  addListingOptions(noun.command('ls', { isDefault: true }).argument(...machineArgument), 'ids')
    .description('List the commands of a machine, oldest first. This is what flotilla execs MACHINE does.')
    .action((machine: string, options: ListingOptions) => list(context, machine, options));
  noun
    .command('get')
    .description('Show one command.')
    .argument(...machineArgument)
    .argument(...execArgument)
    .option('--json', 'print the command as the API gives it')
    .action(async (machine: string, word: string, options: JsonOption) => {
      const exec = await findExec(context, machine, word);
      await context.print(options.json ? json(exec) : describe(exec, Date.now(), context.room));
    });
  const logs = noun
    .command('logs')
    .description(
      'Print the output of a command, as far as it is kept: its last 1 MiB. Ctrl-C does not affect the command.',
    )
    .argument(...machineArgument)
    .argument(...execArgument)
    .option('-f, --follow', 'continue with new output until the command ends')
    .option('--from <byte>', 'begin at this byte of output (default: the first that is kept)', cursor)
    .option('--raw', 'print the bytes as the guest sent them, on a terminal too')
    .action((machine: string, word: string, options: LogsOptions) => print(context, machine, word, options));
  addAlias(logs, '--from', '--cursor');
  noun
    .command('wait')
    .description('Wait until commands have ended, and print their exit codes.')
    .argument(...machineArgument)
    .argument(...execsArgument)
    .option('--json', 'print an array of the commands as the API gives them')
    .action((machine: string, words: string[], options: JsonOption) =>
      each(context, machine, words, options, 'waiting for', async (exec) => {
        const ended = await client.execs.wait(exec.machine_id, exec.id, { signal });
        return [`${exitCodeText(ended)}\n`, ended];
      }),
    );
  noun
    .command('kill')
    .description('Send commands a signal, and print their ids.')
    .argument(...machineArgument)
    .argument(...execsArgument)
    .option('-s, --signal <signal>', 'signal by name, such as TERM, INT or HUP', 'KILL')
    .option('--json', 'print an array of their ids')
    .action((machine: string, words: string[], options: JsonOption & { readonly signal: string }) =>
      each(context, machine, words, options, '', async ({ id, machine_id: of }) => {
        await client.execs.signal(of, id, options.signal.toUpperCase(), { signal });
        return [line(id), id];
      }),
    );
  noun
    .command('rm')
    .description('Remove ended commands with their output, and print their ids.')
    .argument(...machineArgument)
    .argument(...execsArgument)
    .option('-f, --force', 'also running ones, which are killed with everything they started')
    .option('--json', 'print an array of their ids')
    .action((machine: string, words: string[], options: JsonOption & { readonly force?: true }) =>
      each(context, machine, words, options, '', async ({ id, machine_id: of, state }) => {
        if (state === 'running' && !options.force)
          throw new CliError('it runs', { hint: 'flotilla execs rm -f kills it first' });
        await client.execs.delete(of, id, { signal });
        return [line(id), id];
      }),
    );
  return noun;
}

const cursor = wholeNumber(0, Number.MAX_SAFE_INTEGER);

async function list(context: Context, machine: string, options: ListingOptions): Promise<void> {
  const all = await listExecs(context, machine);
  const page = { items: all.slice(0, limitOf(options)), total: all.length };
  await printListing(context, options, page, {
    field: 'execs',
    empty: `no commands in ${machine}; flotilla exec -d ${machine} CMD starts one`,
    id: ({ id }) => id,
    columns: columns(Date.now()),
  });
}

async function print(context: Context, machine: string, word: string, options: LogsOptions): Promise<void> {
  const exec = await findExec(context, machine, word);
  const reading = {
    ...{ from: options.from, isFollowed: options.follow === true, isRaw: options.raw === true },
    signal: context.signal,
  };
  const outcome = await printOutput(context, exec.machine_id, exec, reading);
  // The output is what was asked for; only that its end is missing is a failure.
  if (outcome?.outcome === 'unknown') context.exitWith(settle(context, outcome));
}

/** Finds all of them with one request, and acts on each. `act` gives what is printed, and its form for programs. */
async function each(
  context: Context,
  machine: string,
  words: readonly string[],
  { json: isJson }: JsonOption,
  doing: string,
  act: (exec: Exec) => Promise<readonly [text: string, json: unknown]>,
): Promise<void> {
  const all = await listExecs(context, machine);
  const done: unknown[] = [];
  const exitCode = await forEachId(context, words, doing, async (word) => {
    const [text, value] = await act(execNamed(all, machine, word));
    done.push(value);
    return isJson ? '' : text;
  });
  if (isJson) await context.print(json(done));
  context.exitWith(exitCode);
}

function columns(now: number): readonly Column<Exec>[] {
  return [
    { title: 'ID', text: ({ id }) => id },
    { title: 'COMMAND', text: commandText, cutTo: 20 },
    { title: 'STATE', text: stateText, paint: (text, { state }) => paintStatus(text, state) },
    { title: 'EXIT', text: exitCodeText },
    { title: 'STARTED', text: (each) => `${age(each.started_at, now)} ago`, leftOut: 1 },
    { title: 'DURATION', text: (each) => durationText(each, now), leftOut: 2 },
    { title: 'OUTPUT', text: (each) => byteCount(each.next_cursor), leftOut: 3 },
    { title: 'TTY', text: ({ tty }) => (tty ? 'yes' : 'no'), leftOut: 4 },
  ];
}

const outcomeTexts: Readonly<Record<ExecOutcome['outcome'], string>> = {
  exited: 'exited',
  signalled: 'killed',
  timed_out: 'timed out',
  unknown: 'unknown',
};

function stateText({ state, outcome, signal }: Exec): string {
  if (outcome === 'signalled' && signal !== null) return `SIG${signal}`;
  return outcome === null ? state : outcomeTexts[outcome];
}

function exitCodeText({ exit_code: code }: Exec): string {
  return code === null ? '-' : String(code);
}

function durationText({ started_at: from, ended_at: to, state }: Exec, now: number): string {
  if (to === null && state === 'ended') return '-';
  return secondsText((to === null ? now : Date.parse(to)) - Date.parse(from));
}

function describe(exec: Exec, now: number, room: number): string {
  const { stdout_bytes: out, stderr_bytes: err, first_cursor: first, next_cursor: next } = exec;
  const counts = out === null || err === null ? '' : `; stdout ${byteCount(out)}, stderr ${byteCount(err)}`;
  const kept = first === 0 ? '' : `; kept from byte ${first} on`;
  return pairsText(
    [
      ['id', exec.id],
      ['machine', exec.machine_id],
      ['command', commandText(exec)],
      ['state', stateText(exec)],
      ['exit code', exec.exit_code === null ? null : String(exec.exit_code)],
      ['reason', exec.reason],
      ['pid', String(exec.pid)],
      ['terminal', exec.tty === null ? null : exec.tty ? 'yes' : 'no'],
      ['started', momentAgo(exec.started_at, now)],
      ['ended', exec.ended_at === null ? null : momentAgo(exec.ended_at, now)],
      ['duration', durationText(exec, now)],
      ['output', byteCount(next) + counts + kept],
    ],
    room,
  );
}
