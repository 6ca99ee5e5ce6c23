/** `get`: one machine. */
import { Command } from 'commander';
import type { Machine } from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { age, json, mebibytes, paintStatus, pairsText } from '../output.ts';

export function define(context: Context): Command {
  return new Command('get')
    .description('Show one machine.')
    .argument('<machine>', 'id or name')
    .option('--json', 'print the machine as the API gives it')
    .action(async (id: string, options: { readonly json?: true }) => {
      const machine = await context.client.machines.get(id, { signal: context.signal });
      await context.print(options.json ? json(machine) : describe(machine, Date.now()));
    });
}

function describe(machine: Machine, now: number): string {
  const { failure } = machine;
  const labels = Object.entries(machine.labels ?? {}).map(([key, value]) => `${key}=${value}`);
  const when = (time: string) => `${time} (${age(time, now)} ago)`;
  const lines = [
    ['name', machine.name],
    ['id', machine.id],
    ['status', machine.status],
    ['reason', failure?.message ?? machine.error_message],
    ['code', failure?.code],
    ['failed', failure ? when(failure.at) : null],
    ['console', failure?.console?.join('\n')],
    ['image', machine.image],
    ['cpus', String(machine.vcpu_count)],
    ['memory', mebibytes(machine.mem_size_mib)],
    ['disk', machine.disk_size_mib ? mebibytes(machine.disk_size_mib) : null],
    ['engine', machine.engine],
    ['address', machine.guest_ip],
    ['ports', machine.exposed_ports?.join(', ')],
    ['labels', labels.join(', ')],
    ['created', when(machine.created_at)],
    ['started', machine.started_at ? when(machine.started_at) : null],
  ] as const;
  return pairsText(lines, (text, title) => (title === 'status' ? paintStatus(text, machine.status) : text));
}
