/** `exec`: a command in a machine that runs. */
import { Command } from 'commander';
import type { Context } from '../context.ts';
import { resolved } from '../resolve.ts';
import { addExecOptions, type ExecOptions, execRequest, runCommand } from '../streamed-exec.ts';

export function define(context: Context): Command {
  const command = new Command('exec')
    .description(
      'Run CMD in a running machine with its output streamed. Ctrl-C kills CMD, not the machine.\n' +
        'Options go before CMD; what follows it belongs to CMD.\n' +
        'Exits with CMD’s own code; 128+n if signal n killed it, 124 if its timeout passed, 125 if the machine failed.',
    )
    .argument('<machine>', 'id or name')
    .argument('<command...>', 'program and arguments');
  return addExecOptions(command).action(async (machine: string, words: string[], options: ExecOptions) => {
    const request = await execRequest(context, words, options);
    context.exitWith(await resolved(context, machine, (id) => runCommand(context, id, request)));
  });
}
