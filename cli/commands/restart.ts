/** `restart`: restarts running machines. */
import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { machineAction } from '../machine-action.ts';

export function define(context: Context): Command {
  return machineAction(context, {
    name: 'restart',
    description: 'Restart running machines, wait until their guests answer, and print their names.',
    doing: 'restarting',
  });
}
