/** `fork`: makes machines that go on from this moment of one. */
import { Command } from 'commander';
import type { ForkedMachine } from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { exitCodes } from '../exit-codes.ts';
import { duringWork } from '../interrupted.ts';
import { pairs, wholeNumber } from '../options.ts';
import { json, line } from '../output.ts';
import { resolved } from '../resolve.ts';

interface ForkOptions {
  readonly count: number;
  readonly name?: string;
  readonly label?: Readonly<Record<string, string>>;
  readonly start: boolean;
  readonly json?: true;
}

const countMax = 100;

export function define(context: Context): Command {
  return new Command('fork')
    .description(
      'Make machines that go on from this moment of a machine, which goes on as well, and print their names.\n' +
        'Each has its own disk, name and address. Exits with 1 if one could not be made or started.',
    )
    .argument('<machine>', 'id or name')
    .option('--count <count>', 'how many, at most 100', wholeNumber(1, countMax), 1)
    .option(
      '--name <prefix>',
      'what they are called, followed by - and a number (default: the machine’s name)',
    )
    .option('-l, --label <key=value>', 'label of each, instead of the machine’s (repeatable)', pairs)
    .option('--no-start', 'do not start them')
    .option('--json', 'print the machines and what is wrong with them as the API gives them')
    .action((word: string, options: ForkOptions) => fork(context, word, options));
}

async function fork(context: Context, word: string, options: ForkOptions): Promise<void> {
  const { client, signal } = context;
  const { count, name, label, start } = options;
  const request = {
    count,
    ...(name === undefined ? {} : { name }),
    ...(label === undefined ? {} : { labels: label }),
    ...(start ? {} : { start }),
  };
  const ask = () => resolved(context, word, (id) => client.machines.fork(id, request, { signal }));
  const forked = await duringWork(context, { doing: `forking ${word}`, what: `the fork of ${word}` }, ask);
  if (options.json) await context.print(json(forked));
  for (const each of forked.machines) {
    if (each.machine !== null && !options.json) await context.print(line(each.name));
    if (each.error !== null) context.report(failureOf(each), each.name);
  }
  if (forked.machines.some(({ error }) => error !== null)) context.exitWith(exitCodes.failed);
}

function failureOf({ error, machine }: ForkedMachine): CliError {
  const hint = machine === null ? error?.hint : `it was made; flotilla get ${machine.name} shows it`;
  return new CliError(error?.message ?? 'nobody knows why', hint === undefined ? {} : { hint });
}
