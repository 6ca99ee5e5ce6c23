/** `env`: manages environments, groups of machines that are created, stopped, started and removed together. */
import { Command } from 'commander';
import type { Environment, EnvironmentDetail } from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { forEachId } from '../each.ts';
import { nameInFile, readEnvironmentFile, toEnvironment } from '../environment-file.ts';
import { CliError } from '../errors.ts';
import { exitCodes } from '../exit-codes.ts';
import { addListingOptions, type ListingOptions, limitOf, printListing } from '../listing.ts';
import { lifetime } from '../options.ts';
import { age, json, line, moment, momentAgo, pairsText } from '../output.ts';
import { collect } from '../paging.ts';
import { type Column, table } from '../table.ts';

interface JsonOption {
  readonly json?: true;
}

interface FileOption {
  readonly file?: string;
}

/** `-f`: the environment of a file, for all commands about one that exists. */
const fileOption = ['-f, --file <path>', 'the environment that this file names'] as const;

export function define(context: Context): Command {
  const { client, signal } = context;
  const noun = new Command('env').description(
    'Manage environments: groups of machines that live and end together, described in a file.',
  );
  noun
    .command('create')
    .description('Create an environment from a file, start its machines, and print its name.')
    .argument('[name]', 'its name (default: the file’s)')
    .requiredOption('-f, --file <path>', 'its YAML file, as in docs/environments.md')
    .option(
      '--ttl <time>',
      'time from now to its deletion: 90s, 30m, 2h, 7d (default: the file’s, or 6h)',
      lifetime,
    )
    .option('--json', 'print the environment as the API gives it')
    .action((name: string | undefined, options: JsonOption & { file: string; ttl?: number }) =>
      create(context, name, options),
    );
  const listing = noun
    .command('ls')
    .description('List environments, newest first.')
    .option('--owner <owner>', 'only those of this owner');
  addListingOptions(listing, 'names').action((options: ListingOptions & { owner?: string }) =>
    list(context, options),
  );
  noun
    .command('get')
    .description('Show an environment and its machines.')
    .argument('[name]', 'its name')
    .option(...fileOption)
    .option('--json', 'print the environment as the API gives it')
    .action(async (name: string | undefined, options: JsonOption & FileOption) =>
      show(context, await client.environments.get(one(name, options), { signal }), options),
    );
  noun
    .command('extend')
    .description('Set how long an environment lives, counted from now.')
    .argument('[name]', 'its name')
    .option(...fileOption)
    .requiredOption('--ttl <time>', 'time from now to its deletion: 90s, 30m, 2h, 7d', lifetime)
    .option('--json', 'print the environment as the API gives it')
    .action(async (name: string | undefined, options: JsonOption & FileOption & { ttl: number }) => {
      const body = { lifetime_seconds: options.ttl };
      const detail = await client.environments.extend(one(name, options), body, { signal });
      warn(context, detail);
      await context.print(options.json ? json(detail) : line(detail.expires_at ?? 'at its next start'));
    });
  for (const action of ['stop', 'start'] as const) {
    noun
      .command(action)
      .description(actions[action])
      .argument('[name...]', 'their names')
      .option(...fileOption)
      .option('--json', 'print an object with their names')
      .action((names: string[], options: JsonOption & FileOption) =>
        each(context, some(names, options), options, action === 'stop' ? 'stopped' : 'started', (name) =>
          client.environments[action](name, { signal }).then((detail) => warn(context, detail)),
        ),
      );
  }
  noun
    .command('rm')
    .description('Delete environments with all their machines, and print their names.')
    .argument('[name...]', 'their names')
    .option(...fileOption)
    .option('--json', 'print an object with the names that were deleted')
    .action((names: string[], options: JsonOption & FileOption) =>
      each(context, some(names, options), options, 'deleted', (name) =>
        client.environments.delete(name, { signal }),
      ),
    );
  return noun;
}

const actions = {
  stop: 'Pause the machines of environments, and print the environments’ names. Their lifetime does not count down meanwhile.',
  start: 'Resume or start the machines of environments, and print the environments’ names.',
} as const;

/** The names that were given, or the one in the file. Throws CliError. */
function some(names: readonly string[], { file }: FileOption): readonly string[] {
  if ((file === undefined) === (names.length === 0)) {
    const message = file === undefined ? 'which environment?' : 'name environments, or their file, not both';
    throw new CliError(message, {
      ...{ exitCode: exitCodes.usage, hint: 'name it, or the file that names it: -f env.yaml' },
    });
  }
  return file === undefined ? names : [nameInFile(file)];
}

function one(name: string | undefined, options: FileOption): string {
  const [only = ''] = some(name === undefined ? [] : [name], options);
  return only;
}

async function create(
  context: Context,
  name: string | undefined,
  options: JsonOption & { readonly file: string; readonly ttl?: number },
): Promise<void> {
  const { client, signal } = context;
  const request = toEnvironment(readEnvironmentFile(options.file), { name, lifetimeSeconds: options.ttl });
  const made = () => client.environments.create(request, { signal });
  const detail = await context.progress.during(() => `creating ${request.id}`, made);
  warn(context, detail);
  await context.print(options.json ? json(detail) : line(detail.id));
}

async function list(context: Context, options: ListingOptions & { readonly owner?: string }): Promise<void> {
  const { client, signal } = context;
  const { owner } = options;
  const found = await collect<Environment>(limitOf(options), async (page) => {
    const query = { ...page, ...(owner === undefined ? {} : { owner }) };
    const { environments, total } = await client.environments.list(query, { signal });
    return { items: environments, total };
  });
  await printListing(context, options, found, {
    field: 'environments',
    empty: 'no environments; flotilla env create -f FILE makes one',
    id: ({ id }) => id,
    columns: columns(Date.now()),
  });
}

async function show(context: Context, detail: EnvironmentDetail, options: JsonOption): Promise<void> {
  if (options.json) return context.print(json(detail));
  const now = Date.now();
  const head = pairsText(
    [
      ['name', detail.id],
      ['owner', detail.owner],
      ['state', detail.state],
      [
        'expires',
        detail.expires_at === null ? 'paused: its lifetime does not count down' : moment(detail.expires_at),
      ],
      ['created', momentAgo(detail.created_at, now)],
    ],
    context.room,
  );
  const machines = table(
    [
      { title: 'MACHINE', text: ({ name }) => name, cutTo: 20 },
      { title: 'ID', text: ({ id }) => id, leftOut: 2 },
      { title: 'STATUS', text: ({ status }) => status },
      { title: 'IMAGE', text: ({ image }) => image, cutTo: 12, leftOut: 1 },
    ],
    detail.machines,
    context.room,
  );
  warn(context, detail);
  await context.print(`${head}\n${machines}`);
}

const doing = { stopped: 'stopping', started: 'starting', deleted: 'deleting' } as const;

async function each(
  context: Context,
  names: readonly string[],
  { json: isJson }: JsonOption,
  done: 'stopped' | 'started' | 'deleted',
  act: (name: string) => Promise<void>,
): Promise<void> {
  const acted: string[] = [];
  const exitCode = await forEachId(context, names, doing[done], async (name) => {
    await act(name);
    acted.push(name);
    return isJson ? '' : line(name);
  });
  if (isJson) await context.print(json({ [done]: acted }));
  context.exitWith(exitCode);
}

function warn(context: Context, { warnings }: Environment): void {
  for (const warning of warnings) context.note(warning);
}

function columns(now: number): readonly Column<Environment>[] {
  return [
    { title: 'NAME', text: ({ id }) => id, cutTo: 20 },
    { title: 'OWNER', text: ({ owner }) => owner, cutTo: 8, leftOut: 3 },
    { title: 'STATE', text: ({ state }) => state },
    {
      title: 'EXPIRES',
      text: ({ expires_at: at }) => (at === null ? 'paused' : moment(at)),
      leftOut: 2,
    },
    { title: 'AGE', text: (each) => age(each.created_at, now), leftOut: 1 },
  ];
}
