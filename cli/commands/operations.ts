/** `operations`: shows running and ended operations on machines and images. */
import { Command, Option } from 'commander';
import { type Operation, type OperationState, operationStates } from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { addListingOptions, type ListingOptions, limitOf, printListing } from '../listing.ts';
import { addAlias } from '../option-aliases.ts';
import { someOf } from '../options.ts';
import { age, json, moment, momentAgo, paintStatus, pairsText } from '../output.ts';
import { collect } from '../paging.ts';
import type { Column } from '../table.ts';

interface Options extends ListingOptions {
  readonly machine?: string;
  readonly state?: readonly OperationState[];
}

export function define(context: Context): Command {
  const noun = new Command('operations').description(
    'Show operations on machines and images: running and ended ones, their steps, and why they failed.',
  );
  const listing = noun
    .command('ls')
    .description('List operations, newest first.')
    .option('--machine <machine>', 'only those of this machine: its id, or its name while it exists')
    .addOption(
      new Option('--state <state>', 'only those in this state; repeatable, or with commas')
        .choices(operationStates)
        .argParser(someOf(operationStates)),
    );
  addAlias(listing, '--state', '--status');
  addListingOptions(listing, 'ids').action((options: Options) => list(context, options));
  noun
    .command('get')
    .description('Show one operation.')
    .argument('<operation>', 'id')
    .option('--json', 'print the operation as the API gives it')
    .action(async (id: string, options: { readonly json?: true }) => {
      const operation = await context.client.operations.get(id, { signal: context.signal });
      await context.print(options.json ? json(operation) : describe(operation, Date.now(), context.room));
    });
  return noun;
}

async function list(context: Context, options: Options): Promise<void> {
  const { client, signal } = context;
  const { machine, state } = options;
  const found = await collect<Operation>(limitOf(options), async (page) => {
    const { operations, total } = await client.operations.list({ machine, state, ...page }, { signal });
    return { items: operations, total };
  });
  await printListing(context, options, found, {
    field: 'operations',
    empty: state || machine ? 'no operations that match' : 'no operations',
    id: (operation) => operation.id,
    columns: columns(Date.now()),
  });
}

function columns(now: number): readonly Column<Operation>[] {
  return [
    { title: 'ID', text: (operation) => operation.id },
    { title: 'KIND', text: (operation) => operation.kind, cutTo: 14 },
    { title: 'SUBJECT', text: subjectsOf, cutTo: 12, leftOut: 3 },
    {
      title: 'STATE',
      text: (operation) => operation.state,
      paint: (text, operation) => paintStatus(text, operation.state),
    },
    {
      title: 'STEP',
      text: (operation) => operation.failure?.step ?? operation.steps.at(-1)?.name ?? '-',
      leftOut: 4,
    },
    { title: 'AGE', text: (operation) => age(operation.created_at, now), leftOut: 1 },
    { title: 'REASON', text: (operation) => operation.failure?.message ?? '', cutTo: 16, leftOut: 2 },
  ];
}

function describe(operation: Operation, now: number, room: number): string {
  const { failure } = operation;
  const steps = operation.steps.map(({ name, phase, at }) => `${name} ${phase} ${moment(at)}`);
  const lines = [
    ['id', operation.id],
    ['kind', operation.kind],
    ['subject', subjectsOf(operation)],
    ['state', operation.state],
    ['asked', operation.cancel_requested ? 'to end' : null],
    ['reason', failure?.message],
    ['code', failure?.code],
    ['failed in', failure?.step],
    ['steps', steps.join('\n')],
    ['begun', momentAgo(operation.created_at, now)],
    ['changed', momentAgo(operation.updated_at, now)],
  ] as const;
  return pairsText(lines, room, (text, title) =>
    title === 'state' ? paintStatus(text, operation.state) : text,
  );
}

/** Ids alone when all are machines, as most are; else `kind/id`. */
function subjectsOf({ subjects }: Operation): string {
  const isPlain = subjects.every(({ kind }) => kind === 'machine');
  return subjects.map(({ kind, id }) => (isPlain ? id : `${kind}/${id}`)).join(' ');
}
