/** `-e` and `--env-file`: environment variables, of one command or of all that are run in a machine. */
import { isUtf8 } from 'node:buffer';
import { readFileSync, statSync } from 'node:fs';
import type { Command } from 'commander';
import type { Context } from './context.ts';
import { CliError } from './errors.ts';
import { exitCodes } from './exit-codes.ts';
import { texts, type Variables, variables, variablesOf } from './options.ts';

export interface EnvironmentOptions {
  readonly env?: Variables;
  readonly envFile?: readonly string[];
}

/** A file of variables is no larger than what a command can be given. */
const environmentBytesMax = 2 * 1024 * 1024;

/** `whose` says what they are variables of, such as `of the command`. */
export function addEnvironmentOptions(command: Command, whose: string): Command {
  return command
    .option(
      '-e, --env <key[=value]>',
      `environment variable ${whose}; KEY alone: with the value it has here (repeatable)`,
      variables,
    )
    .option('--env-file <path>', 'file of such variables, one a line (repeatable)', texts);
}

/** The variables that were given; undefined: none. Files first, so that an option wins. Throws CliError for a file that cannot be read and a variable that is not set. */
export function environmentOf(
  context: Context,
  { env, envFile = [] }: EnvironmentOptions,
): Record<string, string> | undefined {
  if (env === undefined && envFile.length === 0) return undefined;
  const given = new Map([...envFile.map(readVariables), env ?? {}].flatMap(Object.entries<string | null>));
  const entries = [...given].map(([name, value]) => [name, value ?? context.variable(name)]);
  return Object.fromEntries(entries);
}

function readVariables(path: string): Variables {
  let content: string;
  try {
    if (statSync(path).size > environmentBytesMax)
      throw new Error(`is longer than ${environmentBytesMax} bytes`);
    const bytes = readFileSync(path);
    if (!isUtf8(bytes)) throw new Error('it is not UTF-8');
    content = bytes.toString('utf8');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CliError(`the file of variables ${path} cannot be read: ${why}`, { exitCode: exitCodes.usage });
  }
  try {
    return variablesOf(content);
  } catch {
    throw new CliError(`${path}: every line must look like KEY=VALUE, or KEY`, { exitCode: exitCodes.usage });
  }
}
