/** `prune`: removes stopped and failed machines. */
import { Command } from 'commander';
import type { MachineSummary } from '../../sdk/src/index.ts';
import { confirm } from '../confirm.ts';
import type { Context } from '../context.ts';
import { addFilterOption, findMachines, type MachineFilter } from '../filters.ts';
import { json, line } from '../output.ts';
import { removeMachines } from '../removal.ts';

interface PruneOptions {
  readonly filter?: MachineFilter;
  readonly force?: true;
  readonly dryRun?: true;
  readonly json?: true;
}

/** Pending machines were made to be started later. */
const prunedStatuses = ['stopped', 'failed'] as const;

export function define(context: Context): Command {
  const command = new Command('prune')
    .description('Remove machines that are stopped or failed, with their disks, and print their names.')
    .option('-f, --force', 'do not ask')
    .option('--dry-run', 'print what would be removed, remove nothing');
  return addFilterOption(command, 'only those that match')
    .option('--json', 'print an object with the names that were removed')
    .action((options: PruneOptions) => prune(context, options));
}

async function prune(context: Context, options: PruneOptions): Promise<void> {
  const { filter = {}, force = false, dryRun = false, json: isJson = false } = options;
  const names = (await find(context, filter)).map(({ name }) => name);
  if (dryRun) return context.print(isJson ? json({ deleted: names }) : names.map(line).join(''));
  if (names.length === 0) context.note('no machines to remove');
  else if (!force)
    await confirm(context, `Remove ${names.length} machines with their disks: ${names.join(', ')}?`);
  // Without force: one that somebody has started meanwhile stays.
  await removeMachines(context, names, { force: false, isJson });
}

async function find(context: Context, filter: MachineFilter): Promise<readonly MachineSummary[]> {
  const status = prunedStatuses.filter((each) => filter.status === undefined || filter.status.includes(each));
  // The API takes an empty list for no filter at all.
  return status.length === 0 ? [] : (await findMachines(context, { ...filter, status })).items;
}
