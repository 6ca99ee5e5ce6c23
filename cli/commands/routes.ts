/** `routes`: manages names in the reverse proxy's domain that lead to machines. */
import { Command, Option } from 'commander';
import type { Route, UpdateRoute } from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { forEachId } from '../each.ts';
import { CliError } from '../errors.ts';
import { exitCodes } from '../exit-codes.ts';
import { addListingOptions, type ListingOptions, limitOf, printListing } from '../listing.ts';
import { lifetime, wholeNumber } from '../options.ts';
import { age, json, line } from '../output.ts';
import { collect } from '../paging.ts';
import { resolved } from '../resolve.ts';
import type { Column } from '../table.ts';

interface AddOptions {
  readonly subdomain?: string;
  readonly autoWake: boolean;
  readonly private?: true;
  readonly json?: true;
}

interface UpdateOptions {
  readonly private?: true;
  readonly public?: true;
  readonly autoWake?: boolean;
  readonly json?: true;
}

interface TokenOptions {
  readonly expires?: number;
  readonly json?: true;
}

const port = wholeNumber(1, 65_535);

export function define(context: Context): Command {
  const noun = new Command('routes').description(
    'Manage routes: SUBDOMAIN.DOMAIN at the reverse proxy leads to a port of a machine.',
  );
  noun
    .command('add')
    .description('Give a port of a machine a name, and print the name. The port need not be exposed.')
    .argument('<machine>', 'id or name')
    .argument('<port>', 'of the machine', port)
    .option('--subdomain <name>', 'the name (default: one is made up)')
    .option('--private', 'requests need a token; see flotilla routes token')
    .option('--no-auto-wake', 'requests do not start or resume the machine')
    .option('--json', 'print the route as the API gives it')
    .action((word: string, target: number, options: AddOptions) => add(context, word, target, options));
  addListingOptions(noun.command('ls'), 'subdomains')
    .description('List routes, newest first.')
    .option('--machine <machine>', 'only those of this machine')
    .action((options: ListingOptions & { readonly machine?: string }) => list(context, options));
  noun
    .command('update')
    .description('Change where a route leads and who may use it, and print its name.')
    .argument('<route>', 'id or subdomain')
    .argument('[port]', 'of the machine', port)
    .addOption(new Option('--private', 'requests need a token').conflicts('public'))
    .option('--public', 'requests need no token, and the tokens of before are void')
    .option('--auto-wake', 'requests start or resume the machine')
    .option('--no-auto-wake', 'requests do not')
    .option('--json', 'print the route as the API gives it')
    .action((id: string, target: number | undefined, options: UpdateOptions) =>
      update(context, id, target, options),
    );
  noun
    .command('token')
    .description('Make a token for a private route, and print the address that opens it in a browser.')
    .argument('<route>', 'id or subdomain')
    .option('--expires <duration>', 'how long it is valid, such as 15m, 12h or 30d (default: 1h)', lifetime)
    .option('--json', 'print token, address and expiry as the API gives them')
    .action((id: string, options: TokenOptions) => token(context, id, options));
  noun
    .command('revoke')
    .description('Revoke all tokens of a private route, and print its name.')
    .argument('<route>', 'id or subdomain')
    .action(async (id: string) => {
      const { client, signal } = context;
      await client.routes.revokeTokens(id, { signal });
      await context.print(line(id));
    });
  noun
    .command('rm')
    .description('Remove routes, and print their names.')
    .argument('<route...>', 'ids or subdomains')
    .option('--json', 'print an object with the names that were removed')
    .action((names: string[], options: { readonly json?: true }) => remove(context, names, options.json));
  return noun;
}

async function add(context: Context, word: string, target: number, options: AddOptions): Promise<void> {
  const { client, signal } = context;
  const { subdomain, autoWake } = options;
  const route = await resolved(context, word, (machine) =>
    client.routes.create(
      {
        ...{ machine, target_port: target },
        ...(subdomain === undefined ? {} : { subdomain }),
        ...(autoWake ? {} : { auto_wake: false }),
        ...(options.private ? { access: 'private' } : {}),
      },
      { signal },
    ),
  );
  if (route.url !== null) context.note(`reached at ${route.url}`);
  await context.print(options.json ? json(route) : line(route.subdomain));
}

async function update(
  context: Context,
  id: string,
  target: number | undefined,
  options: UpdateOptions,
): Promise<void> {
  const { client, signal } = context;
  const { autoWake } = options;
  const changes: UpdateRoute = {
    ...(target === undefined ? {} : { target_port: target }),
    ...(autoWake === undefined ? {} : { auto_wake: autoWake }),
    ...(options.private ? { access: 'private' } : options.public ? { access: 'public' } : {}),
  };
  if (Object.keys(changes).length === 0)
    throw new CliError('there is nothing to change', {
      hint: 'Give a port, --private, --public, --auto-wake or --no-auto-wake.',
      exitCode: exitCodes.usage,
    });
  const route = await client.routes.update(id, changes, { signal });
  await context.print(options.json ? json(route) : line(route.subdomain));
}

async function token(context: Context, id: string, { expires, json: isJson }: TokenOptions): Promise<void> {
  const { client, signal } = context;
  const body = expires === undefined ? {} : { expires_in_seconds: expires };
  const made = await client.routes.createToken(id, body, { signal });
  await context.print(isJson ? json(made) : line(made.url ?? made.token));
}

async function list(
  context: Context,
  { machine, ...options }: ListingOptions & { readonly machine?: string },
): Promise<void> {
  const { client, signal } = context;
  const found = await collect<Route>(limitOf(options), async (page) => {
    const query = machine === undefined ? page : { ...page, machine };
    const { routes: items, total } = await client.routes.list(query, { signal });
    return { items, total };
  });
  await printListing(context, options, found, {
    field: 'routes',
    empty: 'no routes; flotilla routes add MACHINE 80 makes one',
    id: (route) => route.subdomain,
    columns: columns(Date.now()),
  });
}

async function remove(context: Context, names: readonly string[], isJson = false): Promise<void> {
  const { client, signal } = context;
  const deleted: string[] = [];
  const exitCode = await forEachId(context, names, 'removing', async (name) => {
    await client.routes.delete(name, { signal });
    deleted.push(name);
    return isJson ? '' : line(name);
  });
  if (isJson) await context.print(json({ deleted }));
  context.exitWith(exitCode);
}

function columns(now: number): readonly Column<Route>[] {
  return [
    { title: 'SUBDOMAIN', text: (route) => route.subdomain, cutTo: 20 },
    { title: 'MACHINE', text: (route) => route.machine_id },
    { title: 'PORT', text: (route) => String(route.target_port) },
    { title: 'ACCESS', text: (route) => route.access, leftOut: 3 },
    { title: 'WAKES', text: (route) => (route.auto_wake ? 'yes' : 'no'), leftOut: 2 },
    { title: 'AGE', text: (route) => age(route.created_at, now), leftOut: 1 },
    { title: 'URL', text: (route) => route.url ?? '-', leftOut: 4 },
  ];
}
