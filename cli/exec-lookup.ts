/** The command of a machine that a word names: its id, or the beginning of its id where only one begins so. */
import type { Exec } from '../sdk/src/index.ts';
import type { Context } from './context.ts';
import { CliError } from './errors.ts';
import { exitCodes } from './exit-codes.ts';
import { resolved } from './resolve.ts';

const shownMax = 5;

/** Oldest first. */
export async function listExecs(context: Context, machine: string): Promise<readonly Exec[]> {
  const { client, signal } = context;
  return (await resolved(context, machine, (id) => client.execs.list(id, { signal }))).execs;
}

/** Throws CliError when there is none, or when several ids begin so. */
export async function findExec(context: Context, machine: string, word: string): Promise<Exec> {
  return execNamed(await listExecs(context, machine), machine, word);
}

/** The same among commands that are known. */
export function execNamed(execs: readonly Exec[], machine: string, word: string): Exec {
  const exact = execs.find(({ id }) => id === word);
  const [first, ...others] = exact === undefined ? execs.filter(({ id }) => id.startsWith(word)) : [exact];
  if (first === undefined) {
    throw new CliError(`no command ${word} in ${machine}`, {
      hint: `flotilla execs ${machine} shows the commands there are; they end with the boot of their machine`,
    });
  }
  if (others.length === 0) return first;
  throw new CliError(`${others.length + 1} commands have an id that begins with ${word}`, {
    hint: `give more of it: ${choices([first, ...others])}`,
    exitCode: exitCodes.usage,
  });
}

/** The one command that runs. Throws CliError when there is none, or more than one. */
export async function onlyRunningExec(context: Context, machine: string): Promise<Exec> {
  const running = (await listExecs(context, machine)).filter(({ state }) => state === 'running');
  const [first, ...others] = running;
  if (first !== undefined && others.length === 0) return first;
  const message =
    first === undefined ? `no command runs in ${machine}` : `${running.length} commands run in ${machine}`;
  const hint =
    first === undefined
      ? `flotilla exec -d ${machine} CMD starts one; flotilla execs ${machine} shows those that have ended`
      : `name one: ${choices(running)}`;
  throw new CliError(message, { hint, exitCode: exitCodes.usage });
}

/** Its program and arguments, as far as they are known. */
export function commandText({ command, command_truncated: isCut }: Exec): string {
  return command.join(' ') + (isCut ? ' …' : '');
}

function choices(execs: readonly Exec[]): string {
  const named = execs.slice(0, shownMax).map((each) => `${each.id} (${each.command[0] ?? ''})`);
  return named.join(', ') + (execs.length > shownMax ? ', …' : '');
}
