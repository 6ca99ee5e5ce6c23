/** `--filter KEY=VALUE`: which machines a command is about, as the API is asked for them. */
import { type Command, InvalidArgumentError } from 'commander';
import {
  type MachineSort,
  type MachineStatus,
  type MachineSummary,
  machineStatuses,
} from '../sdk/src/index.ts';
import type { Context } from './context.ts';
import { someOf } from './options.ts';
import { collect, type Page } from './paging.ts';

/** Of the API's list query: machines with any of the statuses, any of the images and all of the labels. */
export interface MachineFilter {
  readonly status?: readonly MachineStatus[];
  readonly image?: readonly string[];
  readonly label?: readonly string[];
}

const keys = ['status', 'image', 'label'] as const;
const form = 'It must look like status=running, image=busybox, label=team or label=team=web.';

/** More than anybody has; for commands that act on all of what matches. */
export const everything = 100_000;

/** For an option that may be repeated; also several with commas between. */
export function machineFilter(text: string, before: MachineFilter = {}): MachineFilter {
  // A comma may belong to a value: it ends one only where a key follows.
  return text.split(/,(?=(?:status|image|label)=)/).reduce(withTerm, before);
}

function withTerm(filter: MachineFilter, term: string): MachineFilter {
  const at = term.indexOf('=');
  const key = keys.find((each) => each === term.slice(0, at));
  const value = term.slice(at + 1);
  if (key === undefined || value === '') throw new InvalidArgumentError(form);
  if (key === 'status') return { ...filter, status: statuses(value, filter.status) };
  return { ...filter, [key]: [...(filter[key] ?? []), value] };
}

/** Statuses, with commas between several. */
export const statuses = someOf(machineStatuses);

export function addFilterOption(command: Command, summary: string): Command {
  return command.option(
    '--filter <key=value>',
    `${summary}: status=…, image=…, label=… (repeatable)`,
    machineFilter,
  );
}

/** The machines that match, newest first unless `sort` says otherwise. */
export function findMachines(
  { client, signal }: Context,
  filter: MachineFilter & { readonly sort?: MachineSort | undefined },
  limit = everything,
): Promise<Page<MachineSummary>> {
  return collect<MachineSummary>(limit, async (page) => {
    const { machines, total } = await client.machines.list({ ...filter, ...page }, { signal });
    return { items: machines, total };
  });
}
