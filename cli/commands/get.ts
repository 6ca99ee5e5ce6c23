/** `get`: one machine. */
import { Command } from 'commander';
import type { Machine } from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { addFormatOptions, type FormatOptions, isJson, render, templateOf } from '../format.ts';
import { age, json, labelsText, mebibytes, paintStatus, pairsText } from '../output.ts';
import { resolved } from '../resolve.ts';

export function define(context: Context): Command {
  const command = new Command('get').description('Show one machine.').argument('<machine>', 'id or name');
  return addFormatOptions(command, 'print the machine as the API gives it').action(
    async (name: string, options: FormatOptions) => {
      const { client, signal } = context;
      const machine = await resolved(context, name, (id) => client.machines.get(id, { signal }));
      await context.print(await textOf(machine, options));
    },
  );
}

async function textOf(machine: Machine, options: FormatOptions): Promise<string> {
  const template = templateOf(options);
  if (template !== null) return render(template, [machine]);
  return isJson(options) ? json(machine) : describe(machine, Date.now());
}

function restartText({ restart, restart_count: count, restart_at: at }: Machine): string | null {
  if (restart === undefined || restart === 'no') return null;
  const next = at === null ? '' : `, next at ${at}`;
  return `${restart}, ${count} in a row${next}`;
}

function describe(machine: Machine, now: number): string {
  const { failure } = machine;
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
    ['labels', labelsText(machine.labels)],
    ['variables', Object.keys(machine.env ?? {}).join(', ')],
    ['restart', restartText(machine)],
    ['expires', machine.expires_at],
    ['created', when(machine.created_at)],
    ['started', machine.started_at ? when(machine.started_at) : null],
  ] as const;
  return pairsText(lines, (text, title) => (title === 'status' ? paintStatus(text, machine.status) : text));
}
