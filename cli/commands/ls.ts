/** `ls`: the machines there are. */
import { Command, Option } from 'commander';
import { type MachineStatus, type MachineSummary, machineStatuses } from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { addListingOptions, type ListingOptions, printListing } from '../listing.ts';
import { age, type Column, mebibytes, paintStatus } from '../output.ts';
import { collect } from '../paging.ts';

interface Options extends ListingOptions {
  readonly status?: MachineStatus;
}

export function define(context: Context): Command {
  const command = new Command('ls')
    .description('List machines, the newest first.')
    .addOption(new Option('--status <status>', 'only those in this state').choices(machineStatuses));
  return addListingOptions(command, 'ids').action((options: Options) => list(context, options));
}

async function list(context: Context, options: Options): Promise<void> {
  const { client, signal } = context;
  const { status } = options;
  const found = await collect<MachineSummary>(options.limit, async (page) => {
    const { machines, total } = await client.machines.list({ status, ...page }, { signal });
    return { items: machines, total };
  });
  await printListing(context, options, found, {
    field: 'machines',
    empty: status ? `no ${status} machines` : 'no machines',
    id: (machine) => machine.id,
    columns: columns(Date.now()),
  });
}

function columns(now: number): Column<MachineSummary>[] {
  return [
    { title: 'NAME', text: (machine) => machine.name },
    { title: 'ID', text: (machine) => machine.id },
    {
      title: 'STATUS',
      text: (machine) => machine.status,
      paint: (text, machine) => paintStatus(text, machine.status),
    },
    { title: 'CPUS', text: (machine) => String(machine.vcpu_count) },
    { title: 'MEMORY', text: (machine) => mebibytes(machine.mem_size_mib) },
    { title: 'AGE', text: (machine) => age(machine.created_at, now) },
  ];
}
