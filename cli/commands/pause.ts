/** `pause`: pauses machines; they keep their memory and use no CPU. */
import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { machineAction } from '../machine-action.ts';

export function define(context: Context): Command {
  return machineAction(context, {
    name: 'pause',
    description:
      'Pause running machines, and print their names. Their memory is kept until they are resumed.',
    doing: 'pausing',
  });
}
