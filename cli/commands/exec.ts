/** `exec`: a command in a machine that runs. */
import { Command } from 'commander';
import type { Context } from '../context.ts';
import { startExec } from '../exec-start.ts';
import { line } from '../output.ts';
import { resolved } from '../resolve.ts';
import {
  addExecOptions,
  type ExecOptions,
  execRequest,
  requireStreams,
  runCommand,
} from '../streamed-exec.ts';

interface Options extends ExecOptions {
  readonly detach?: true;
}

export function define(context: Context): Command {
  const command = new Command('exec')
    .description(
      'Run CMD in a running machine with its output streamed. Ctrl-C kills CMD, not the machine.\n' +
        'Options go before CMD; what follows it belongs to CMD.\n' +
        'With -it, CMD has this terminal: exec -it MACHINE sh. The detach keys leave it running.\n' +
        'Exits with CMD’s own code; 128+n if signal n killed it, 124 if its timeout passed, 125 if the machine failed.',
    )
    .argument('<machine>', 'id or name')
    .argument('<cmd...>', 'program and arguments')
    .option('-d, --detach', 'run CMD in the background and print its id, for execs and attach');
  return addExecOptions(command).action(async (machine: string, words: string[], options: Options) => {
    if (!options.detach) requireStreams(context, options);
    const request = execRequest(context, words, options);
    if (options.detach) {
      const started = await resolved(context, machine, (id) => startExec(context, id, request));
      return context.print(line(started.id));
    }
    context.exitWith(
      await resolved(context, machine, (id) => runCommand(context, { id, name: machine }, request, options)),
    );
  });
}
