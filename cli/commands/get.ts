/** `get`: shows one machine. */
import { Command } from 'commander';
import type { Machine } from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { addFormatOptions, type FormatOptions, isJson, render, templateOf } from '../format.ts';
import { json, labelsText, mebibytes, moment, momentAgo, paintStatus, pairsText } from '../output.ts';
import { portText } from '../ports.ts';
import { resolved } from '../resolve.ts';

type AllowedDestination = Exclude<NonNullable<Machine['network']>['egress'], string>['allow'][number];

export function define(context: Context): Command {
  const command = new Command('get').description('Show one machine.').argument('<machine>', 'id or name');
  return addFormatOptions(command, 'print the machine as the API gives it').action(
    async (name: string, options: FormatOptions) => {
      const { client, signal } = context;
      const machine = await resolved(context, name, (id) => client.machines.get(id, { signal }));
      await context.print(await textOf(machine, options, context.room));
    },
  );
}

async function textOf(machine: Machine, options: FormatOptions, room: number): Promise<string> {
  const template = templateOf(options);
  if (template !== null) return render(template, [machine]);
  return isJson(options) ? json(machine) : describe(machine, Date.now(), room);
}

function restartText({ restart, restart_count: count, restart_at: at }: Machine): string | null {
  if (restart === undefined || restart === 'no') return null;
  const next = at === null ? '' : `, next at ${moment(at)}`;
  return `${restart}, ${count} in a row${next}`;
}

function idleText({ idle, idle_at: at, held_until: held, auto_wake: canWake }: Machine): string | null {
  const wake = canWake === false ? ', not woken by requests' : '';
  if (idle == null) return wake === '' ? null : wake.slice(2);
  const next = at == null ? '' : `, at ${moment(at)} or later`;
  const hold = held == null || Date.parse(held) < Date.now() ? '' : `, held until ${moment(held)}`;
  return `${idle.action} after ${idle.after_seconds} s${next}${hold}${wake}`;
}

/** When the lifetime ends, or how much of it is left once it goes on; null without one. */
function expiryText(machine: Machine): string | null {
  const { expires_at: at, on_expire: action = 'delete', lifetime_seconds: whole } = machine;
  if (at != null) return `${moment(at)}: ${action}`;
  const left = machine.lifetime_remaining_seconds;
  if (left != null) return `${action} ${left} s after it goes on; its lifetime stands still`;
  return whole == null ? null : `ended; ${action} ${whole} s after it runs again`;
}

function provisioningText({ provisioning }: Machine): string | null {
  if (provisioning == null) return null;
  return provisioning.message === null
    ? provisioning.status
    : `${provisioning.status}: ${provisioning.message}`;
}

/** Null for the default, which is everything. */
function egressText({ network }: Machine): string | null {
  const egress = network?.egress;
  if (egress === undefined || egress === 'allow') return null;
  if (egress === 'deny') return 'deny';
  return `only ${egress.allow.map(ruleText).join(', ')}`;
}

function ruleText({ to, ports, protocol }: AllowedDestination): string {
  const ranges = ports?.map((port) => (typeof port === 'number' ? `${port}` : `${port.first}-${port.last}`));
  return `${to}${ranges == null ? '' : `:${ranges.join(',')}`}${protocol === 'any' ? '' : `/${protocol}`}`;
}

function sshPortText({ ssh_port: port, ssh }: Machine): string | null {
  if (port == null) return null;
  return ssh?.status === 'closed' ? `${port}, closed: ${ssh.reason}` : String(port);
}

function linkText({ guest_link: link }: Machine): string | null {
  if (link === undefined) return null;
  const lost = link.lost_at === null ? '' : ` (lost at ${moment(link.lost_at)}, ${link.lost_count} in all)`;
  return `${link.status}: ${link.reason}${lost}`;
}

function describe(machine: Machine, now: number, room: number): string {
  const { failure } = machine;
  const when = (time: string) => momentAgo(time, now);
  const lines = [
    ['name', machine.name],
    ['id', machine.id],
    ['status', machine.status],
    ['reason', failure?.message ?? machine.error_message],
    ['code', failure?.code],
    ['failed', failure ? when(failure.at) : null],
    ['console', failure?.console?.join('\n')],
    ['link', linkText(machine)],
    ['image', machine.image],
    ['note', machine.image_note],
    ['cpus', String(machine.vcpu_count)],
    ['memory', mebibytes(machine.mem_size_mib)],
    ['disk', machine.disk_size_mib ? mebibytes(machine.disk_size_mib) : null],
    ['snapshot', machine.snapshot_id],
    ['engine', machine.engine],
    ['address', machine.guest_ip],
    ['network', machine.network?.note],
    ['egress', egressText(machine)],
    ['published', machine.network?.ports.map(portText).join('\n')],
    ['SSH port', sshPortText(machine)],
    ['exposed', machine.exposed_ports?.join(', ')],
    ['labels', labelsText(machine.labels)],
    ['variables', Object.keys(machine.env ?? {}).join(', ')],
    ['restart', restartText(machine)],
    ['idle', idleText(machine)],
    ['user data', provisioningText(machine)],
    ['expires', expiryText(machine)],
    ['created', when(machine.created_at)],
    ['started', machine.started_at ? when(machine.started_at) : null],
  ] as const;
  return pairsText(lines, room, (text, title) =>
    title === 'status' ? paintStatus(text, machine.status) : text,
  );
}
