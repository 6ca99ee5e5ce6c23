/** `profile`: names daemons with their keys; a profile is used when the environment names no daemon. */
import { Command } from 'commander';
import { FlotillaClient, FlotillaError } from '../../sdk/src/index.ts';
import { isLoopback } from '../config.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { exitCodes } from '../exit-codes.ts';
import { json, line, printable } from '../output.ts';
import {
  isKey,
  profileNames,
  profilePath,
  readProfile,
  removeProfile,
  shortened,
  useProfile,
  writeProfile,
} from '../profile.ts';
import { readSecret } from '../secret.ts';
import { type Column, table } from '../table.ts';

interface SetOptions {
  readonly url: string;
  readonly keyStdin?: true;
}

interface ListOptions {
  readonly quiet?: true;
  readonly json?: true;
}

export function define(context: Context): Command {
  const noun = new Command('profile').description(
    'Manage profiles: addresses of daemons with their keys, in files that only you can read.\n' +
      'FLOTILLA_URL and FLOTILLA_KEY take precedence; a profile’s key is sent only to its own address.',
  );
  noun
    .command('set')
    .description('Write a profile. Asks for the key if stdin is a terminal.')
    .argument('[name]', 'which one (default: the one in use)')
    .requiredOption('--url <url>', 'address of the daemon')
    .option('--key-stdin', 'read the key from stdin')
    .action((name: string | undefined, options: SetOptions) => set(context, name, options));
  noun
    .command('use')
    .description('Use a profile from now on. FLOTILLA_PROFILE takes precedence.')
    .argument('<profile>', 'which one')
    .action((name: string) => use(context, name));
  noun
    .command('ls')
    .description('List the profiles; the one in use is marked.')
    .option('-q, --quiet', 'print names only')
    .option('--json', 'print an array')
    .action((options: ListOptions) => list(context, options));
  noun
    .command('show')
    .description('Show a profile; of its key only the beginning.')
    .argument('[profile]', 'which one (default: the one in use)')
    .option('--json', 'print an object')
    .action((name: string | undefined, options: { readonly json?: true }) =>
      show(context, name, options.json === true),
    );
  noun
    .command('rm')
    .description('Remove a profile.')
    .argument('[profile]', 'which one (default: the one in use)')
    .action((name: string | undefined) => {
      const path = pathOf(context, name);
      context.note(`${removeProfile(path) ? 'removed' : 'there is no'} ${path}`);
    });
  return noun;
}

function pathOf(context: Context, name: string | undefined): string {
  return name === undefined ? context.profile.path : profilePath(context.env, name);
}

function use(context: Context, name: string): void {
  if (readProfile(profilePath(context.env, name)) === null) throw noProfile(name);
  useProfile(context.env, name);
  context.note(`using profile ${name}`);
  const variable = context.env.FLOTILLA_PROFILE;
  if (variable) context.note(`FLOTILLA_PROFILE is set, and ${variable} is used while it is`, 'note');
}

async function list(context: Context, options: ListOptions): Promise<void> {
  const inUse = context.profile.name;
  const profiles = profileNames(context.env).map((name) => ({
    name,
    in_use: name === inUse,
    url: readProfile(profilePath(context.env, name))?.url ?? '',
  }));
  if (options.quiet) {
    const names = profiles.map(({ name }) => name);
    return context.print(options.json ? json(names) : names.map(line).join(''));
  }
  if (options.json) return context.print(json(profiles));
  if (profiles.length === 0) return context.note('no profiles; flotilla profile set --url URL makes one');
  await context.print(table(columns, profiles, context.room));
}

const columns: readonly Column<{ readonly name: string; readonly in_use: boolean; readonly url: string }>[] =
  [
    { title: 'NAME', text: ({ name }) => name, cutTo: 12 },
    { title: 'USED', text: ({ in_use: inUse }) => (inUse ? 'yes' : '') },
    { title: 'URL', text: ({ url }) => url, cutTo: 20 },
  ];

function noProfile(name: string): CliError {
  return new CliError(`there is no profile '${name}'`, {
    hint: 'flotilla profile ls shows the profiles there are',
  });
}

async function set(context: Context, name: string | undefined, options: SetOptions): Promise<void> {
  const { url, keyStdin } = options;
  const path = pathOf(context, name);
  checkUrl(url);
  const key = await readSecret(context, `key for ${printable(url)}: `, keyStdin === true);
  if (!isKey(key)) {
    const message = key === '' ? 'there was no key' : 'what was given is not a key';
    throw new CliError(message, { exitCode: exitCodes.usage });
  }
  writeProfile(path, { url, key });
  context.note(`wrote ${path}`);
  if (new URL(url).protocol === 'http:' && !isLoopback(url)) {
    context.note('over http:// everybody on the way can read the key; https:// or a tunnel hides it', 'note');
  }
}

function checkUrl(url: string): void {
  try {
    new FlotillaClient({ url });
  } catch (error) {
    if (!(error instanceof FlotillaError)) throw error;
    throw new CliError(error.message, { exitCode: exitCodes.usage });
  }
}

async function show(context: Context, name: string | undefined, isJson: boolean): Promise<void> {
  const path = pathOf(context, name);
  const profile = readProfile(path);
  if (profile === null) {
    throw new CliError(`there is no profile at ${path}`, {
      hint: 'flotilla profile set --url URL makes one',
    });
  }
  const shown = { path, url: profile.url, key_prefix: shortened(profile.key) };
  const text = `file  ${shown.path}\nurl   ${shown.url}\nkey   ${shown.key_prefix}\n`;
  await context.print(isJson ? json(shown) : printable(text));
}
