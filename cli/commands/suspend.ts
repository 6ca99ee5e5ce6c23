/** `suspend`: saves machines' memory on the disk, and frees it. */
import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { machineAction } from '../machine-action.ts';

export function define(context: Context): Command {
  return machineAction(context, {
    name: 'suspend',
    description:
      'Save the memory of running or paused machines on the disk, free it, and print their names. flotilla start restores them as they were.',
    doing: 'suspending',
  });
}
