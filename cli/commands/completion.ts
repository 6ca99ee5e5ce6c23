/** `completion`: prints completion scripts for shells, and the names that they ask for while somebody types. */
import { Argument, Command, Option } from 'commander';
import { bashScript } from '../completion/bash.ts';
import { fishScript } from '../completion/fish.ts';
import { type NameKind, nameKinds, type Place, placesOf } from '../completion/model.ts';
import { zshScript } from '../completion/zsh.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { exitCodes } from '../exit-codes.ts';
import { profileNames } from '../profile.ts';
import { loadProgram } from '../program.ts';

const scripts: Readonly<Record<string, (places: readonly Place[]) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};
const shells = Object.keys(scripts);

/** Somebody waits with a finger on a key. */
const patienceMs = 1_000;
const namesMax = 500;

export function define(context: Context): Command {
  return new Command('completion')
    .description(
      'Print a script that completes commands, options and names.\n' +
        'bash: source <(flotilla completion bash)     in ~/.bashrc\n' +
        'zsh:  source <(flotilla completion zsh)      in ~/.zshrc, after compinit\n' +
        'fish: flotilla completion fish | source      in ~/.config/fish/config.fish',
    )
    .addArgument(new Argument('[shell]', 'which shell the script is for').choices(shells))
    .addOption(new Option('--names <kind>').choices(nameKinds).hideHelp())
    .addOption(new Option('--of <name>').default('').hideHelp())
    .action((shell: string | undefined, options: { readonly names?: NameKind; readonly of: string }) =>
      options.names === undefined
        ? printScript(context, shell)
        : printNames(context, options.names, options.of),
    );
}

async function printScript(context: Context, shell: string | undefined): Promise<void> {
  const make = scripts[shell ?? ''];
  if (make === undefined) {
    throw new CliError(`which shell? ${shells.join(', ')}`, { exitCode: exitCodes.usage });
  }
  await context.print(make(placesOf(await loadProgram(context))));
}

/** Prints what can be typed without quotes; nothing, and no error, when the daemon does not say in time. */
async function printNames(context: Context, kind: NameKind, of: string): Promise<void> {
  try {
    const names = kind === 'profiles' ? profileNames(context.env) : await namesOf(context, kind, of);
    const plain = names.filter((name) => /^[a-zA-Z0-9][a-zA-Z0-9._:@-]*$/.test(name));
    await context.print(plain.map((name) => `${name}\n`).join(''));
  } catch {
    context.exitWith(exitCodes.failed);
  }
}

async function namesOf(
  { client, signal }: Context,
  kind: Exclude<NameKind, 'profiles'>,
  of: string,
): Promise<readonly string[]> {
  const query = { limit: namesMax };
  const options = { signal, timeoutMs: patienceMs };
  switch (kind) {
    case 'machines':
      return (await client.machines.list(query, options)).machines.map(({ name }) => name);
    case 'images':
      return (await client.images.list(query, options)).images.map(({ name }) => name);
    case 'templates':
      return (await client.templates.list(query, options)).templates.map(({ name }) => name);
    case 'snapshots':
      return (await client.snapshots.list(query, options)).snapshots.map(({ name }) => name);
    case 'keys':
      return (await client.keys.list(query, options)).keys
        .filter((key) => key.revoked_at === null)
        .map(({ id }) => id);
    case 'execs':
      return of === '' ? [] : (await client.execs.list(of, options)).execs.map(({ id }) => id);
    case 'operations':
      return (await client.operations.list(query, options)).operations.map(({ id }) => id);
  }
}
