/** `ls`: the machines there are. */
import { Command, Option } from 'commander';
import {
  type FlotillaClient,
  type MachineList,
  type MachineStatus,
  type MachineSummary,
  machineStatuses,
} from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { wholeNumber } from '../options.ts';
import { age, type Column, json, line, mebibytes, paintStatus, table } from '../output.ts';

interface ListOptions {
  readonly status?: MachineStatus;
  readonly limit: number;
  readonly json?: true;
  readonly quiet?: true;
}

const pageSize = 500;

export function define(context: Context): Command {
  return new Command('ls')
    .description('List machines, the newest first.')
    .addOption(new Option('--status <status>', 'only those in this state').choices(machineStatuses))
    .option('--limit <count>', 'at most this many', wholeNumber(1, 100_000), 1000)
    .option('-q, --quiet', 'print ids only')
    .option('--json', 'print what the API gives')
    .action((options: ListOptions) => list(context, options));
}

async function list(context: Context, options: ListOptions): Promise<void> {
  const found = await collect(context.client, options, context.signal);
  const { machines, total } = found;
  if (options.json) await context.print(json(found));
  else if (options.quiet) await context.print(machines.map(({ id }) => line(id)).join(''));
  else if (machines.length === 0)
    context.note(options.status ? `no ${options.status} machines` : 'no machines');
  else await context.print(table(columns(Date.now()), machines));
  const left = total - machines.length;
  if (left > 0) context.note(`${left} more not shown; --limit ${total} shows all`);
}

/** Pages until everything, or as much as was asked for, is there; a machine that pages show twice counts once. */
async function collect(
  client: FlotillaClient,
  options: ListOptions,
  signal: AbortSignal,
): Promise<MachineList> {
  const byId = new Map<string, MachineSummary>();
  for (let offset = 0; ; ) {
    const limit = Math.min(pageSize, options.limit - byId.size);
    const query = { status: options.status, limit, offset };
    const { machines, total } = await client.machines.list(query, { signal });
    for (const machine of machines) byId.set(machine.id, machine);
    offset += machines.length;
    if (machines.length === 0) return { machines: [...byId.values()], total: byId.size };
    if (offset >= total || byId.size >= options.limit) return { machines: [...byId.values()], total };
  }
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
