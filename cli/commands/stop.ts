/** `stop`: stops machines. */
import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { machineAction } from '../machine-action.ts';

export function define(context: Context): Command {
  return machineAction(context, {
    name: 'stop',
    description: 'Stop machines, and print their names. Their disks stay.',
    doing: 'stopping',
    force: 'also suspended ones: their saved memory is lost',
  });
}
