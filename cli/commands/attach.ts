/** `attach`: the input and output of a command that runs already. */
import { Command } from 'commander';
import type { Exec } from '../../sdk/src/index.ts';
import { attachStreams } from '../attachment.ts';
import type { Context } from '../context.ts';
import { findExec, onlyRunningExec } from '../exec-lookup.ts';
import { wholeNumber } from '../options.ts';
import { isTerminal } from '../progress.ts';
import { addDetachKeys } from '../streamed-exec.ts';
import { attachTerminal } from '../terminal/attached-terminal.ts';

interface AttachOptions {
  readonly from?: number;
  readonly stdin: boolean;
  readonly sigProxy: boolean;
  readonly detachKeys?: Uint8Array;
}

export function define(context: Context): Command {
  const command = new Command('attach')
    .description(
      'Attach to a command in a machine: its output so far and from now on, and its standard input.\n' +
        'Ctrl-C is passed on to the command; a second one leaves it running. To watch only: flotilla execs logs -f.\n' +
        'A command with a terminal (exec -t) gets this terminal, and the detach keys leave it running.\n' +
        'Exits with the command’s own code; 128+n if signal n killed it, 124 if its timeout passed, 125 otherwise.',
    )
    .argument('<machine>', 'id or name of the machine')
    .argument('[exec]', 'id of the command, or its beginning (default: the one that runs)')
    .option(
      '--from <byte>',
      'begin at this byte of output (default: the first that is kept; with a terminal: now)',
      wholeNumber(0, Number.MAX_SAFE_INTEGER),
    )
    .option('--no-stdin', 'do not forward standard input')
    .option('--no-sig-proxy', 'do not pass on Ctrl-C');
  return addDetachKeys(command).action(
    async (machine: string, word: string | undefined, options: AttachOptions) => {
      const find = word === undefined ? onlyRunningExec : findExec;
      const exec = await find(context, machine, word ?? '');
      context.exitWith(await attach(context, machine, exec, options));
    },
  );
}

function attach(context: Context, name: string, exec: Exec, options: AttachOptions): Promise<number> {
  const { from, stdin, sigProxy, detachKeys: keys } = options;
  if (exec.tty !== true) {
    return attachStreams(context, exec, { name, from, hasStdin: stdin, isProxied: sigProxy });
  }
  const hasStdin = stdin && isTerminal(context.streams.stdin);
  return attachTerminal(context, exec, from, { name, hasStdin, keys });
}
