/** `restart`: one machine or several. */
import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { machineAction } from '../machine-action.ts';

export function define(context: Context): Command {
  return machineAction(context, {
    name: 'restart',
    description:
      'Stop running machines, start them anew, wait until their guests answer, and print their names.',
    doing: 'restarting',
  });
}
