/** `operations`: what is and was being done to machines and images. */
import { Command, Option } from 'commander';
import { type Operation, type OperationState, operationStates } from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { addListingOptions, type ListingOptions, limitOf, printListing } from '../listing.ts';
import { age, json, paintStatus, pairsText } from '../output.ts';
import { collect } from '../paging.ts';
import type { Column } from '../table.ts';

interface Options extends ListingOptions {
  readonly machine?: string;
  readonly state?: OperationState;
  readonly status?: OperationState;
}

export function define(context: Context): Command {
  const noun = new Command('operations').description(
    'Show what is and was being done to machines and images, step by step, and why it failed.',
  );
  addListingOptions(noun.command('ls'), 'ids')
    .description('List operations, the newest first.')
    .option('--machine <machine>', 'only this machine’s: its id, or its name while it is there')
    .addOption(new Option('--state <state>', 'only those in this state').choices(operationStates))
    .addOption(new Option('--status <state>', 'the same').choices(operationStates).conflicts('state'))
    .action((options: Options) => list(context, options));
  noun
    .command('get')
    .description('Show one operation.')
    .argument('<operation>', 'id')
    .option('--json', 'print the operation as the API gives it')
    .action(async (id: string, options: { readonly json?: true }) => {
      const operation = await context.client.operations.get(id, { signal: context.signal });
      await context.print(options.json ? json(operation) : describe(operation, Date.now()));
    });
  return noun;
}

async function list(context: Context, options: Options): Promise<void> {
  const { client, signal } = context;
  const { machine, state = options.status } = options;
  const found = await collect<Operation>(limitOf(options), async (page) => {
    const { operations, total } = await client.operations.list({ machine, state, ...page }, { signal });
    return { items: operations, total };
  });
  await printListing(context, options, found, {
    field: 'operations',
    empty: state ? `no ${state} operations` : 'no operations',
    id: (operation) => operation.id,
    columns: columns(Date.now()),
  });
}

function columns(now: number): readonly Column<Operation>[] {
  return [
    { title: 'ID', text: (operation) => operation.id },
    { title: 'KIND', text: (operation) => operation.kind },
    { title: 'SUBJECT', text: subjectsOf },
    {
      title: 'STATE',
      text: (operation) => operation.state,
      paint: (text, operation) => paintStatus(text, operation.state),
    },
    { title: 'STEP', text: (operation) => operation.failure?.step ?? operation.steps.at(-1)?.name ?? '-' },
    { title: 'AGE', text: (operation) => age(operation.created_at, now) },
    { title: 'REASON', text: (operation) => operation.failure?.message ?? '' },
  ];
}

function describe(operation: Operation, now: number): string {
  const { failure } = operation;
  const steps = operation.steps.map(({ name, phase, at }) => `${name} ${phase} ${at}`);
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
    ['begun', `${operation.created_at} (${age(operation.created_at, now)} ago)`],
    ['changed', operation.updated_at],
  ] as const;
  return pairsText(lines, (text, title) => (title === 'state' ? paintStatus(text, operation.state) : text));
}

/** Ids alone when all are machines, as most are; else `kind/id`. */
function subjectsOf({ subjects }: Operation): string {
  const isPlain = subjects.every(({ kind }) => kind === 'machine');
  return subjects.map(({ kind, id }) => (isPlain ? id : `${kind}/${id}`)).join(' ');
}
