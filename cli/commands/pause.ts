/** `pause`: machines stand still and keep their memory. */
import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { machineAction } from '../machine-action.ts';

export function define(context: Context): Command {
  return machineAction(context, {
    name: 'pause',
    description:
      'Let running machines stand still, with their memory, until they are resumed; print their names.',
    doing: 'pausing',
  });
}
