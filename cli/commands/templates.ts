/** `templates`: manages templates, which provide the fields that a request for a machine omits. */
import { Command } from 'commander';
import type { CreateTemplate, Template } from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { forEachId } from '../each.ts';
import { addListingOptions, type ListingOptions, limitOf, printListing } from '../listing.ts';
import { addAlias } from '../option-aliases.ts';
import { cpus, mebibytesOption, memoryMibFor } from '../options.ts';
import { age, json, line, mebibytes, momentAgo, pairsText } from '../output.ts';
import { collect } from '../paging.ts';
import type { Column } from '../table.ts';
import { readUserData } from '../user-data.ts';

interface CreateOptions {
  readonly description?: string;
  readonly cpus: number;
  readonly memory?: number;
  readonly disk?: number;
  readonly userData?: string;
  readonly json?: true;
}

export function define(context: Context): Command {
  const noun = new Command('templates').description('Manage templates: what machines have in common.');
  const creation = noun
    .command('create')
    .description(
      'Make a template, and print its name. flotilla create --template NAME makes a machine from it.',
    )
    .argument('<name>', 'name of the new template')
    .argument('<image>', 'image of its machines')
    .option('--description <text>', 'what it is for')
    .option('--cpus <count>', 'virtual processors', cpus, 1)
    .option(
      '-m, --memory <size>',
      'memory, such as 512m or 2g (default: 512m, for busybox 128m)',
      mebibytesOption,
    )
    .option(
      '--disk <size>',
      'disk, such as 20g (default: 10g, or what the image needs if that is more)',
      mebibytesOption,
    )
    .option('--user-data <path>', 'file of user data: what each guest does once, after its first start')
    .option('--json', 'print the template as the API gives it')
    .action((name: string, image: string, options: CreateOptions) => create(context, name, image, options));
  addAlias(creation, '--cpus', '--vcpus');
  addListingOptions(noun.command('ls'), 'names')
    .description('List templates, newest first.')
    .action((options: ListingOptions) => list(context, options));
  noun
    .command('get')
    .description('Show one template.')
    .argument('<template>', 'id or name')
    .option('--json', 'print the template as the API gives it')
    .action(async (name: string, options: { readonly json?: true }) => {
      const template = await context.client.templates.get(name, { signal: context.signal });
      await context.print(options.json ? json(template) : describe(template, Date.now(), context.room));
    });
  noun
    .command('rm')
    .description('Remove templates, and print their names. Machines made from them stay.')
    .argument('<template...>', 'ids or names')
    .option('--json', 'print an object with the names that were removed')
    .action((names: string[], options: { readonly json?: true }) => remove(context, names, options.json));
  return noun;
}

async function create(context: Context, name: string, image: string, options: CreateOptions): Promise<void> {
  const { client, signal } = context;
  const { description, cpus, memory = memoryMibFor(image), disk, userData } = options;
  const template: CreateTemplate = {
    ...{ name, image, vcpu_count: cpus, mem_size_mib: memory },
    ...(description === undefined ? {} : { description }),
    ...(disk === undefined ? {} : { disk_size_mib: disk }),
    ...(userData === undefined ? {} : { user_data: readUserData(userData) }),
  };
  const made = await client.templates.create(template, { signal });
  await context.print(options.json ? json(made) : line(made.name));
}

async function list(context: Context, options: ListingOptions): Promise<void> {
  const { client, signal } = context;
  const found = await collect<Template>(limitOf(options), async (page) => {
    const { templates, total } = await client.templates.list(page, { signal });
    return { items: templates, total };
  });
  await printListing(context, options, found, {
    field: 'templates',
    empty: 'no templates; flotilla templates create makes one',
    id: (template) => template.name,
    columns: columns(Date.now()),
  });
}

async function remove(context: Context, names: readonly string[], isJson = false): Promise<void> {
  const { client, signal } = context;
  const deleted: string[] = [];
  const exitCode = await forEachId(context, names, 'removing', async (name) => {
    await client.templates.delete(name, { signal });
    deleted.push(name);
    return isJson ? '' : line(name);
  });
  if (isJson) await context.print(json({ deleted }));
  context.exitWith(exitCode);
}

function columns(now: number): readonly Column<Template>[] {
  return [
    { title: 'NAME', text: (template) => template.name, cutTo: 20 },
    { title: 'IMAGE', text: (template) => template.image, cutTo: 12, leftOut: 2 },
    { title: 'CPUS', text: (template) => String(template.vcpu_count), leftOut: 5 },
    { title: 'MEMORY', text: (template) => mebibytes(template.mem_size_mib), leftOut: 4 },
    { title: 'DISK', text: diskOf, leftOut: 6 },
    { title: 'DESCRIPTION', text: (template) => template.description, cutTo: 12, leftOut: 3 },
    { title: 'AGE', text: (template) => age(template.created_at, now), leftOut: 1 },
  ];
}

function diskOf({ disk_size_mib: size }: Template): string {
  return size === null ? 'default' : mebibytes(size);
}

function describe(template: Template, now: number, room: number): string {
  return pairsText(
    [
      ['name', template.name],
      ['id', template.id],
      ['for', template.description],
      ['image', template.image],
      ['cpus', String(template.vcpu_count)],
      ['memory', mebibytes(template.mem_size_mib)],
      ['disk', diskOf(template)],
      ['user data', template.user_data ?? 'none'],
      ['created', momentAgo(template.created_at, now)],
    ],
    room,
  );
}
