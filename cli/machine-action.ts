/** Defines a command that does one action on several machines and prints their names. */
import { Command } from 'commander';
import { FlotillaError, type Machine } from '../sdk/src/index.ts';
import type { Context } from './context.ts';
import { forEachId } from './each.ts';
import { Interruption } from './errors.ts';
import { json, line } from './output.ts';
import { resolved } from './resolve.ts';

export interface MachineAction {
  readonly name: 'start' | 'stop' | 'restart' | 'pause' | 'resume' | 'suspend';
  readonly description: string;
  /** What a terminal is shown meanwhile, such as `starting`. */
  readonly doing: string;
  /** What `--force` does; absent: there is no such option. */
  readonly force?: string;
}

interface Options {
  readonly json?: true;
  readonly force?: true;
}

export function machineAction(context: Context, action: MachineAction): Command {
  const { name, description, doing } = action;
  const command = new Command(name).description(description).argument('<machine...>', 'ids or names');
  if (action.force !== undefined) command.option('-f, --force', action.force);
  return command
    .option('--json', 'print the machine as the API gives it; of several, an array')
    .action(async (ids: string[], options: Options) => {
      const done = new Map<string, Machine>();
      const sayWhatGoesOn = () => {
        const left = ids.filter((id) => !done.has(id));
        const isAsked = context.signal.reason instanceof Interruption && context.signal.reason.bySignal;
        if (isAsked && left.length > 0)
          context.note(`the ${name} of ${left.join(', ')} may continue in the daemon`);
      };
      context.signal.addEventListener('abort', sayWhatGoesOn, { once: true });
      const exitCode = await forEachId(context, ids, doing, async (id) => {
        const machine = await act(context, name, id, options.force ? { force: true } : {});
        done.set(id, machine);
        return options.json ? '' : line(machine.name);
      });
      if (options.json) await context.print(jsonOf(ids, done));
      context.exitWith(exitCode);
    });
}

/** In the order they were named; those that failed are on stderr. */
function jsonOf(ids: readonly string[], done: ReadonlyMap<string, Machine>): string {
  const machines = [...new Set(ids)].flatMap((id) => done.get(id) ?? []);
  if (ids.length > 1) return json(machines);
  return machines.map(json).join('');
}

/** What is already so counts as done, with a note: a script that runs twice is not to fail. */
async function act(
  context: Context,
  name: MachineAction['name'],
  word: string,
  forced: { readonly force?: true },
): Promise<Machine> {
  const { client, signal } = context;
  return resolved(context, word, async (id) => {
    try {
      return await client.machines[name](id, { ...forced, signal });
    } catch (error) {
      if (name === 'restart' || !isRefusedByState(error)) throw error;
      const machine = await client.machines[name](id, { idempotent: true, signal });
      context.note(`machine ${machine.name} is ${machine.status} already`);
      return machine;
    }
  });
}

function isRefusedByState(error: unknown): boolean {
  return (
    error instanceof FlotillaError && error.status === 400 && error.code === 'BAD_REQUEST' && !error.retryable
  );
}
