/** `keys`: manages keys of the API and what each allows. */
import { Command, Option } from 'commander';
import { type Key, type KeyTier, keyTiers, type Scope, scopes } from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { forEachId } from '../each.ts';
import { addListingOptions, type ListingOptions, limitOf, printListing } from '../listing.ts';
import { futureTime, someOf } from '../options.ts';
import { age, json, line, moment } from '../output.ts';
import { collect } from '../paging.ts';
import type { Column } from '../table.ts';

interface CreateOptions {
  readonly name: string;
  readonly scope: readonly Scope[];
  readonly expires?: string;
  readonly tenant?: string;
  readonly tier?: KeyTier;
  readonly json?: true;
}

export function define(context: Context): Command {
  const noun = new Command('keys').description(
    'Manage keys of the API. This needs a key that may do everything, such as the operator’s.',
  );
  const now = Date.now();
  const scope = new Option('--scope <scope>', 'what it may do; repeatable, or with commas').choices(scopes);
  noun
    .command('create')
    .description('Make a key and print its secret on stdout, and nothing else there. It is not shown again.')
    .requiredOption('--name <name>', 'a name for people')
    .addOption(scope.argParser(someOf(scopes)).makeOptionMandatory())
    .option('--expires <time>', 'when it expires: 30d, 12h or 2030-01-31T12:00:00Z', futureTime(now))
    .option('--tenant <tenant>', 'tenant of the key (default: yours; another needs the operator’s key)')
    .addOption(
      new Option(
        '--tier <tier>',
        'limits requests per minute and machines (default: as the key that makes it)',
      ).choices(keyTiers),
    )
    .option('--json', 'print the key as the API gives it')
    .action((options: CreateOptions) => create(context, options));
  addListingOptions(noun.command('ls'), 'ids')
    .description('List keys, newest first, with those that were revoked.')
    .action((options: ListingOptions) => list(context, options));
  noun
    .command('revoke')
    .description('Revoke keys, and print their ids.')
    .argument('<key...>', 'ids')
    .option('--json', 'print an object with the ids that were revoked')
    .action((ids: string[], options: { readonly json?: true }) =>
      revoke(context, ids, options.json === true),
    );
  return noun;
}

async function create(context: Context, options: CreateOptions): Promise<void> {
  const { client, signal } = context;
  const { name, scope, expires, tenant, tier } = options;
  const spec = {
    name,
    scopes: scope,
    ...(expires === undefined ? {} : { expires_at: expires }),
    ...(tenant === undefined ? {} : { tenant }),
    ...(tier === undefined ? {} : { tier }),
  };
  const created = await client.keys.create(spec, { signal });
  const until = created.expires_at === null ? '' : ` until ${moment(created.expires_at)}`;
  // First, so that a key whose reader has gone away can be revoked.
  context.note(`key ${created.id} may ${created.scopes.join(', ')}${until}; it is not shown again`);
  await context.print(options.json ? json(created) : line(created.key));
}

async function list(context: Context, options: ListingOptions): Promise<void> {
  const { client, signal } = context;
  const found = await collect<Key>(limitOf(options), async (page) => {
    const { keys, total } = await client.keys.list(page, { signal });
    return { items: keys, total };
  });
  await printListing(context, options, found, {
    field: 'keys',
    empty: 'no keys',
    id: (key) => key.id,
    columns: columns(Date.now()),
  });
}

async function revoke(context: Context, ids: readonly string[], isJson: boolean): Promise<void> {
  const { client, signal } = context;
  const revoked: string[] = [];
  const exitCode = await forEachId(context, ids, '', async (id) => {
    await client.keys.revoke(id, { signal });
    revoked.push(id);
    return isJson ? '' : line(id);
  });
  if (isJson) await context.print(json({ revoked }));
  context.exitWith(exitCode);
}

function columns(now: number): readonly Column<Key>[] {
  return [
    { title: 'ID', text: (key) => key.id },
    { title: 'NAME', text: (key) => key.name, cutTo: 12 },
    { title: 'BEGINS', text: (key) => key.prefix, leftOut: 7 },
    { title: 'STATE', text: (key) => stateOf(key, now) },
    { title: 'SCOPES', text: (key) => key.scopes.join(','), cutTo: 13, leftOut: 2 },
    { title: 'TENANT', text: (key) => key.tenant, cutTo: 8, leftOut: 5 },
    { title: 'TIER', text: (key) => key.tier ?? '-', leftOut: 8 },
    {
      title: 'EXPIRES',
      text: ({ expires_at: at }) => (at === null ? 'never' : moment(at)),
      leftOut: 4,
    },
    {
      title: 'USED',
      text: ({ last_used_at: at }) => (at === null ? 'never' : age(at, now)),
      leftOut: 6,
    },
    { title: 'AGE', text: (key) => age(key.created_at, now), leftOut: 1 },
  ];
}

function stateOf(key: Key, now: number): string {
  if (key.revoked_at !== null) return 'revoked';
  return key.expires_at !== null && Date.parse(key.expires_at) <= now ? 'expired' : 'good';
}
