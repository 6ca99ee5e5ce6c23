/** A command that does one thing to each of several machines and prints what they then are. */
import { Command } from 'commander';
import type { FlotillaClient, Machine } from '../sdk/src/index.ts';
import type { Context } from './context.ts';
import { forEachId } from './each.ts';
import { json, line } from './output.ts';

export interface MachineAction {
  readonly name: 'start' | 'stop' | 'restart' | 'pause' | 'resume';
  readonly description: string;
  /** What a terminal is shown meanwhile, such as `starting`. */
  readonly doing: string;
}

export function machineAction(context: Context, { name, description, doing }: MachineAction): Command {
  return new Command(name)
    .description(description)
    .argument('<machine...>', 'ids or names')
    .option('--json', 'print the machine as the API gives it; of several, an array')
    .action(async (ids: string[], options: { readonly json?: true }) => {
      const done = new Map<string, Machine>();
      const exitCode = await forEachId(context, ids, doing, async (id) => {
        const machine = await act(context.client, name, id, context.signal);
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

function act(
  { machines }: FlotillaClient,
  name: MachineAction['name'],
  id: string,
  signal: AbortSignal,
): Promise<Machine> {
  return machines[name](id, { signal });
}
