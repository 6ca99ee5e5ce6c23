/** `ssh-keys`: manages the public keys whose owners can enter machines through the SSH gateway. */
import { Command } from 'commander';
import type { SshKey } from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { forEachId } from '../each.ts';
import { addListingOptions, type ListingOptions, limitOf, printListing } from '../listing.ts';
import { age, json, line } from '../output.ts';
import { collect } from '../paging.ts';
import { readPublicKeyFile } from '../ssh/public-key-file.ts';
import type { Column } from '../table.ts';

interface AddOptions {
  readonly name?: string;
  readonly json?: true;
}

export function define(context: Context): Command {
  const noun = new Command('ssh-keys').description(
    'Manage SSH keys: whoever has the private half enters your machines with ssh.',
  );
  noun
    .command('add')
    .description('Register a public key, and print its name.')
    .argument('<file>', 'a file such as ~/.ssh/id_ed25519.pub')
    .option('--name <name>', 'a name for people (default: the key’s comment)')
    .option('--json', 'print the SSH key as the API gives it')
    .action((path: string, options: AddOptions) => add(context, path, options));
  addListingOptions(noun.command('ls'), 'names')
    .description('List SSH keys, newest first.')
    .action((options: ListingOptions) => list(context, options));
  noun
    .command('rm')
    .description('Remove SSH keys, and print their names. Connections made with them end.')
    .argument('<key...>', 'ids, names or fingerprints')
    .option('--json', 'print an object with the names that were removed')
    .action((names: string[], options: { readonly json?: true }) => remove(context, names, options.json));
  return noun;
}

async function add(context: Context, path: string, { name, json: isJson }: AddOptions): Promise<void> {
  const { client, signal } = context;
  const key = { public_key: readPublicKeyFile(path), ...(name === undefined ? {} : { name }) };
  const added = await client.sshKeys.create(key, { signal });
  await context.print(isJson ? json(added) : line(added.name));
}

async function list(context: Context, options: ListingOptions): Promise<void> {
  const { client, signal } = context;
  const found = await collect<SshKey>(limitOf(options), async (page) => {
    const { ssh_keys: items, total } = await client.sshKeys.list(page, { signal });
    return { items, total };
  });
  await printListing(context, options, found, {
    field: 'ssh_keys',
    empty: 'no SSH keys; flotilla ssh-keys add ~/.ssh/id_ed25519.pub registers one',
    id: (key) => key.name,
    columns: columns(Date.now()),
  });
}

async function remove(context: Context, names: readonly string[], isJson = false): Promise<void> {
  const { client, signal } = context;
  const deleted: string[] = [];
  const exitCode = await forEachId(context, names, 'removing', async (name) => {
    await client.sshKeys.delete(name, { signal });
    deleted.push(name);
    return isJson ? '' : line(name);
  });
  if (isJson) await context.print(json({ deleted }));
  context.exitWith(exitCode);
}

function columns(now: number): readonly Column<SshKey>[] {
  return [
    { title: 'NAME', text: (key) => key.name, cutTo: 20 },
    { title: 'TYPE', text: (key) => key.public_key.split(' ')[0] ?? '', cutTo: 12, leftOut: 3 },
    { title: 'FINGERPRINT', text: (key) => key.fingerprint, cutTo: 14, leftOut: 2 },
    { title: 'AGE', text: (key) => age(key.created_at, now), leftOut: 1 },
  ];
}
