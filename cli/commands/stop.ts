/** `stop`: one machine or several. */
import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { machineAction } from '../machine-action.ts';

export function define(context: Context): Command {
  return machineAction(context, {
    name: 'stop',
    description: 'Stop machines and print their names; their disks stay.',
    doing: 'stopping',
  });
}
