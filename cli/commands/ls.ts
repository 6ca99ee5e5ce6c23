/** `ls`: the machines there are. */
import { Command, Option } from 'commander';
import { type MachineStatus, type MachineSummary, machineStatuses } from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { addFilterOption, findMachines, type MachineFilter, type SortWord, sortWords } from '../filters.ts';
import { addListingOptions, type ListingOptions, limitOf, printListing } from '../listing.ts';
import { age, labelsText, mebibytes, paintStatus } from '../output.ts';
import type { Column } from '../table.ts';

interface Options extends ListingOptions {
  readonly status?: MachineStatus;
  readonly filter?: MachineFilter;
  readonly sort?: SortWord;
}

export function define(context: Context): Command {
  const command = new Command('ls')
    .description('List machines, the newest first.')
    .addOption(new Option('--status <status>', 'only those in this state').choices(machineStatuses))
    .addOption(new Option('--sort <field>', 'order; a - in front turns it round').choices(sortWords))
    // Docker's `ps -a`; here all are shown anyway.
    .addOption(new Option('-a, --all').hideHelp());
  addFilterOption(command, 'only those that match');
  return addListingOptions(command, 'ids').action((options: Options) => list(context, options));
}

async function list(context: Context, options: Options): Promise<void> {
  const { status = options.filter?.status, filter, sort } = options;
  const query = {
    ...filter,
    ...(status === undefined ? {} : { status }),
    ...(sort === undefined ? {} : { sort }),
  };
  const found = await findMachines(context, query, limitOf(options));
  const isAny = Object.keys(query).every((key) => key === 'sort');
  const some = isAny ? 'no machines' : 'no machines that match';
  await printListing(context, options, found, {
    field: 'machines',
    empty: status !== undefined && filter === undefined ? `no ${status} machines` : some,
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
