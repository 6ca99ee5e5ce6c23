/** `quotas`: manages how much each tenant may have. */
import { Command } from 'commander';
import type { Quota, QuotaEntry, SetQuota } from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { addListingOptions, type ListingOptions, limitOf, printListing } from '../listing.ts';
import { addAlias } from '../option-aliases.ts';
import { mebibytes as sizeFrom, wholeNumber } from '../options.ts';
import { json, line, mebibytes, pairsText } from '../output.ts';
import { collect } from '../paging.ts';
import type { Column } from '../table.ts';

interface SetOptions {
  readonly machines?: number;
  readonly cpus?: number;
  readonly memory?: number;
  readonly disk?: number;
  readonly json?: true;
}

type Resource = keyof Quota['limits'];
const resources: readonly (readonly [title: string, resource: Resource])[] = [
  ['machines', 'machines'],
  ['cpus', 'vcpus'],
  ['memory', 'memory_mib'],
  ['disk', 'disk_mib'],
];

export function define(context: Context): Command {
  const count = wholeNumber(0, Number.MAX_SAFE_INTEGER);
  const size = sizeFrom(0, Number.MAX_SAFE_INTEGER);
  const noun = new Command('quotas').description(
    'Manage quotas: how much each tenant may have. All but get need the operator’s key.',
  );
  addListingOptions(noun.command('ls'), 'tenants')
    .description('List the tenants that have limits of their own.')
    .action((options: ListingOptions) => list(context, options));
  noun
    .command('get')
    .description('Show a tenant’s limits, and how much it uses.')
    .argument('<tenant>', 'its name')
    .option('--json', 'print one JSON object')
    .action(async (tenant: string, options: { readonly json?: true }) => {
      await show(context, await context.client.quotas.get(tenant, { signal: context.signal }), options.json);
    });
  const setting = noun
    .command('set')
    .description('Replace a tenant’s limits. What is not given is not limited.')
    .argument('<tenant>', 'its name')
    .option('--machines <count>', 'machines, running or not', count)
    .option('--cpus <count>', 'virtual processors of all machines together', count)
    .option('--memory <size>', 'memory of all machines together, such as 16g', size)
    .option('--disk <size>', 'disks of all machines together, such as 100g', size)
    .option('--json', 'print one JSON object')
    .action((tenant: string, options: SetOptions) => set(context, tenant, options));
  addAlias(setting, '--cpus', '--vcpus');
  noun
    .command('rm')
    .description('Remove a tenant’s own limits; those of the host for every tenant apply again.')
    .argument('<tenant>', 'its name')
    .option('--json', 'print one JSON object')
    .action(async (tenant: string, options: { readonly json?: true }) => {
      await context.client.quotas.remove(tenant, { signal: context.signal });
      await context.print(options.json ? json({ removed: tenant }) : line(tenant));
    });
  return noun;
}

async function set(context: Context, tenant: string, options: SetOptions): Promise<void> {
  const { machines = null, cpus = null, memory = null, disk = null } = options;
  const limits: SetQuota = { machines, vcpus: cpus, memory_mib: memory, disk_mib: disk };
  await show(
    context,
    await context.client.quotas.set(tenant, limits, { signal: context.signal }),
    options.json,
  );
}

async function show(context: Context, quota: Quota, isJson: true | undefined): Promise<void> {
  if (isJson) return context.print(json(quota));
  const { limits, used } = quota;
  const origin = quota.is_default ? 'the host’s, for every tenant' : 'its own';
  const rows = resources.map(([title, resource]) => {
    const text = `${amount(resource, used[resource])} of ${limitText(resource, limits)}`;
    return [title, text] as const;
  });
  await context.print(pairsText([['tenant', quota.tenant], ['limits', origin], ...rows], context.room));
}

async function list(context: Context, options: ListingOptions): Promise<void> {
  const { client, signal } = context;
  const found = await collect<QuotaEntry>(limitOf(options), async (page) => {
    const { quotas, total } = await client.quotas.list(page, { signal });
    return { items: quotas, total };
  });
  await printListing(context, options, found, {
    field: 'quotas',
    empty: 'no quotas',
    id: ({ tenant }) => tenant,
    columns,
  });
}

const columns: readonly Column<QuotaEntry>[] = [
  { title: 'TENANT', text: ({ tenant }) => tenant, cutTo: 16 },
  { title: 'MACHINES', text: ({ limits }) => limitText('machines', limits) },
  { title: 'CPUS', text: ({ limits }) => limitText('vcpus', limits), leftOut: 2 },
  { title: 'MEMORY', text: ({ limits }) => limitText('memory_mib', limits), leftOut: 1 },
  { title: 'DISK', text: ({ limits }) => limitText('disk_mib', limits), leftOut: 3 },
];

function limitText(resource: Resource, limits: Quota['limits']): string {
  const limit = limits[resource];
  return limit === null ? 'unlimited' : amount(resource, limit);
}

function amount(resource: Resource, count: number): string {
  return resource.endsWith('_mib') ? mebibytes(count) : String(count);
}
