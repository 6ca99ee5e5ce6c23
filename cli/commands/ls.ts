/** `ls`: lists machines. */
import { Command, Option } from 'commander';
import {
  type MachineSort,
  type MachineStatus,
  type MachineSummary,
  machineSorts,
  machineStatuses,
} from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { addFilterOption, findMachines, type MachineFilter, statuses } from '../filters.ts';
import { addListingOptions, type ListingOptions, limitOf, printListing } from '../listing.ts';
import { addAlias } from '../option-aliases.ts';
import { age, labelsText, mebibytes, paintStatus } from '../output.ts';
import type { Column } from '../table.ts';

interface Options extends ListingOptions {
  readonly status?: readonly MachineStatus[];
  readonly filter?: MachineFilter;
  readonly sort?: MachineSort;
}

export function define(context: Context): Command {
  const command = new Command('ls')
    .description('List machines, newest first.')
    .addOption(
      new Option('--status <status>', 'only those with this status; repeatable, or with commas')
        .choices(machineStatuses)
        .argParser(statuses),
    )
    .addOption(new Option('--sort <field>', 'order; a - in front reverses it').choices(machineSorts))
    // Docker's `ps -a`; here all are shown anyway.
    .addOption(new Option('-a, --all').hideHelp());
  addAlias(command, '--status', '--state');
  addFilterOption(command, 'only those that match');
  return addListingOptions(command, 'ids').action((options: Options) => list(context, options));
}

async function list(context: Context, options: Options): Promise<void> {
  const { filter: { status: filtered = [], ...filter } = {}, sort } = options;
  const status = [...(options.status ?? []), ...filtered];
  const query = { ...(status.length === 0 ? {} : { status }), ...filter };
  const found = await findMachines(context, { ...query, sort }, limitOf(options));
  await printListing(context, options, found, {
    field: 'machines',
    empty: Object.keys(query).length === 0 ? 'no machines' : 'no machines that match',
    id: (machine) => machine.id,
    columns: columns(Date.now()),
  });
}

function columns(now: number): Column<MachineSummary>[] {
  return [
    { title: 'NAME', text: (machine) => machine.name, cutTo: 20 },
    { title: 'ID', text: (machine) => machine.id, leftOut: 3 },
    {
      title: 'STATUS',
      text: (machine) => machine.status,
      paint: (text, machine) => paintStatus(text, machine.status),
    },
    { title: 'IMAGE', text: (machine) => machine.image, cutTo: 12, leftOut: 2 },
    { title: 'CPUS', text: (machine) => String(machine.vcpu_count), leftOut: 5 },
    { title: 'MEMORY', text: (machine) => mebibytes(machine.mem_size_mib), leftOut: 4 },
    { title: 'AGE', text: (machine) => age(machine.created_at, now), leftOut: 1 },
    { title: 'LABELS', text: (machine) => labelsText(machine.labels), cutTo: 12, leftOut: 6 },
  ];
}
