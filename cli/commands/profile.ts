/** `profile`: which daemon the command line speaks to, and with which key, when the environment does not say. */
import { Command } from 'commander';
import { FlotillaClient, FlotillaError } from '../../sdk/src/index.ts';
import { isLoopback } from '../config.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { exitCodes } from '../exit-codes.ts';
import { json, printable } from '../output.ts';
import { isKey, readProfile, removeProfile, shortened, writeProfile } from '../profile.ts';
import { readSecret } from '../secret.ts';

interface SetOptions {
  readonly url: string;
  readonly keyStdin?: true;
}

export function define(context: Context): Command {
  const noun = new Command('profile').description(
    'Keep the address of a daemon and the key for it in a file that only you can read.\n' +
      'FLOTILLA_URL and FLOTILLA_KEY go before it; the key is sent to no other address.',
  );
  noun
    .command('set')
    .description('Write the profile; asks for the key when stdin is a terminal.')
    .requiredOption('--url <url>', 'address of the daemon')
    .option('--key-stdin', 'read the key from stdin')
    .action((options: SetOptions) => set(context, options));
  noun
    .command('show')
    .description('Print the profile, and of its key the beginning.')
    .option('--json', 'print an object')
    .action((options: { readonly json?: true }) => show(context, options.json === true));
  noun
    .command('rm')
    .description('Remove the profile.')
    .action(() => {
      const isRemoved = removeProfile(context.profilePath);
      context.note(`${isRemoved ? 'removed' : 'there is no'} ${context.profilePath}`);
    });
  return noun;
}

async function set(context: Context, { url, keyStdin }: SetOptions): Promise<void> {
  checkUrl(url);
  const key = await readSecret(context, `key for ${printable(url)}: `, keyStdin === true);
  if (!isKey(key)) {
    const message = key === '' ? 'there was no key' : 'what was given is not a key';
    throw new CliError(message, { exitCode: exitCodes.usage });
  }
  writeProfile(context.profilePath, { url, key });
  context.note(`wrote ${context.profilePath}`);
  if (new URL(url).protocol === 'http:' && !isLoopback(url)) {
    context.note('note: over http:// everybody on the way can read the key; https:// or a tunnel hides it');
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

async function show(context: Context, isJson: boolean): Promise<void> {
  const profile = readProfile(context.profilePath);
  if (profile === null) {
    throw new CliError(`there is no profile at ${context.profilePath}`, {
      hint: 'flotilla profile set --url URL makes one',
    });
  }
  const shown = { path: context.profilePath, url: profile.url, key_prefix: shortened(profile.key) };
  const text = `file  ${shown.path}\nurl   ${shown.url}\nkey   ${shown.key_prefix}\n`;
  await context.print(isJson ? json(shown) : printable(text));
}
