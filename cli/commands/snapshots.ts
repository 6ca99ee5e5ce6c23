/** `snapshots`: manages machines' disks and memory of one moment. */
import { Command } from 'commander';
import type { CreateSnapshot, Snapshot } from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { forEachId } from '../each.ts';
import { addFormatOptions, type FormatOptions, isJson, render, templateOf } from '../format.ts';
import { duringWork } from '../interrupted.ts';
import { addListingOptions, type ListingOptions, limitOf, printListing } from '../listing.ts';
import { pairs, wholeNumber } from '../options.ts';
import { age, byteCount, json, labelsText, line, mebibytes, momentAgo, pairsText } from '../output.ts';
import { collect } from '../paging.ts';
import { resolved, resolvedSnapshot } from '../resolve.ts';
import type { Column } from '../table.ts';

interface CreateOptions {
  readonly name?: string;
  readonly label?: Readonly<Record<string, string>>;
  readonly diskOnly?: true;
  readonly keep?: number;
  readonly json?: true;
}

interface RestoreOptions {
  readonly start: boolean;
  readonly json?: true;
}

const keepMax = 1000;

export function define(context: Context): Command {
  const noun = new Command('snapshots').description(
    'Manage snapshots: disks and memory of machines at one moment.',
  );
  noun
    .command('create')
    .description(
      'Take a snapshot of a machine, with its memory if it is up, and print its name. The machine goes on.\n' +
        'flotilla create --from-snapshot NAME makes a machine from it.',
    )
    .argument('<machine>', 'id or name')
    .option('--name <name>', 'name of the snapshot (default: one is made up)')
    .option('-l, --label <key=value>', 'label (repeatable)', pairs)
    .option('--disk-only', 'without the memory: its machines boot from the disk')
    .option(
      '--keep <count>',
      'afterwards remove all but this many of the machine’s snapshots, the newest',
      wholeNumber(1, keepMax),
    )
    .option('--json', 'print the snapshot as the API gives it')
    .action((word: string, options: CreateOptions) => create(context, word, options));
  addListingOptions(noun.command('ls'), 'names')
    .description('List snapshots, newest first.')
    .argument('[machine]', 'only those of this machine: id or name; of a removed one the id')
    .action((word: string | undefined, options: ListingOptions) => list(context, word, options));
  const get = noun
    .command('get')
    .alias('inspect')
    .description('Show one snapshot.')
    .argument('<snapshot>', 'id or name');
  addFormatOptions(get, 'print the snapshot as the API gives it').action(
    async (word: string, options: FormatOptions) => {
      const { client, signal } = context;
      const found = await resolvedSnapshot(context, word, (id) => client.snapshots.get(id, { signal }));
      await context.print(await textOf(found, options, context.room));
    },
  );
  noun
    .command('restore')
    .description(
      'Set the machine that a snapshot was taken of back to it, and print the machine’s name.\n' +
        'What the machine has now is lost, also while it runs.',
    )
    .argument('<snapshot>', 'id or name')
    .option('--no-start', 'leave the machine stopped')
    .option('--json', 'print the machine as the API gives it')
    .action((word: string, options: RestoreOptions) => restore(context, word, options));
  noun
    .command('rm')
    .description('Remove snapshots, and print their names. Machines made from them stay.')
    .argument('<snapshot...>', 'ids or names')
    .option('--json', 'print an object with the names that were removed')
    .action((words: string[], options: { readonly json?: true }) => remove(context, words, options.json));
  return noun;
}

async function create(context: Context, word: string, options: CreateOptions): Promise<void> {
  const { client, signal } = context;
  const { name, label, diskOnly, keep } = options;
  const request: CreateSnapshot = {
    ...(name === undefined ? {} : { name }),
    ...(label === undefined ? {} : { labels: label }),
    ...(diskOnly ? { memory: false } : {}),
    ...(keep === undefined ? {} : { keep }),
  };
  const ask = () => resolved(context, word, (id) => client.snapshots.create(id, request, { signal }));
  const work = { doing: `taking a snapshot of ${word}`, what: `the snapshot of ${word}` };
  const made = await duringWork(context, work, ask);
  await context.print(options.json ? json(made) : line(made.name));
}

async function restore(context: Context, word: string, options: RestoreOptions): Promise<void> {
  const { client, signal } = context;
  const request = options.start ? {} : { start: false };
  const ask = () =>
    resolvedSnapshot(context, word, (id) => client.snapshots.restore(id, request, { signal }));
  const machine = await duringWork(
    context,
    { doing: `restoring ${word}`, what: `the restore of ${word}` },
    ask,
  );
  await context.print(options.json ? json(machine) : line(machine.name));
}

async function list(context: Context, word: string | undefined, options: ListingOptions): Promise<void> {
  const { client, signal } = context;
  const find = (machine?: string) =>
    collect<Snapshot>(limitOf(options), async (page) => {
      const query = machine === undefined ? page : { ...page, machine };
      const { snapshots, total } = await client.snapshots.list(query, { signal });
      return { items: snapshots, total };
    });
  const found = word === undefined ? await find() : await resolved(context, word, find);
  await printListing(context, options, found, {
    field: 'snapshots',
    empty: 'no snapshots; flotilla snapshots create MACHINE takes one',
    id: (snapshot) => snapshot.name,
    columns: columns(Date.now()),
  });
}

async function remove(context: Context, words: readonly string[], isJsonWanted = false): Promise<void> {
  const { client, signal } = context;
  const deleted: string[] = [];
  const exitCode = await forEachId(context, words, 'removing', async (word) => {
    await resolvedSnapshot(context, word, (id) => client.snapshots.delete(id, { signal }));
    deleted.push(word);
    return isJsonWanted ? '' : line(word);
  });
  if (isJsonWanted) await context.print(json({ deleted }));
  context.exitWith(exitCode);
}

function columns(now: number): readonly Column<Snapshot>[] {
  return [
    { title: 'NAME', text: (snapshot) => snapshot.name, cutTo: 20 },
    { title: 'MACHINE', text: (snapshot) => snapshot.machine_name, cutTo: 12 },
    { title: 'STATUS', text: (snapshot) => snapshot.status, leftOut: 4 },
    { title: 'HAS', text: contentsOf, leftOut: 3 },
    { title: 'SIZE', text: sizeOf, leftOut: 2 },
    { title: 'AGE', text: (snapshot) => age(snapshot.created_at, now), leftOut: 1 },
  ];
}

function contentsOf({ has_memory: hasMemory }: Snapshot): string {
  return hasMemory ? 'disk, memory' : 'disk';
}

function sizeOf({ size_bytes: bytes }: Snapshot): string {
  return bytes === null ? '-' : byteCount(bytes);
}

async function textOf(snapshot: Snapshot, options: FormatOptions, room: number): Promise<string> {
  const template = templateOf(options);
  if (template !== null) return render(template, [snapshot]);
  return isJson(options) ? json(snapshot) : describe(snapshot, Date.now(), room);
}

function describe(snapshot: Snapshot, now: number, room: number): string {
  return pairsText(
    [
      ['name', snapshot.name],
      ['id', snapshot.id],
      ['status', snapshot.status],
      ['machine', `${snapshot.machine_name} (${snapshot.machine_id})`],
      ['after', snapshot.parent_id],
      ['has', contentsOf(snapshot)],
      ['size', sizeOf(snapshot)],
      ['cpus', String(snapshot.vcpu_count)],
      ['memory', mebibytes(snapshot.mem_size_mib)],
      ['disk', mebibytes(snapshot.disk_size_mib)],
      ['image', snapshot.image],
      ['labels', labelsText(snapshot.labels)],
      ['created', momentAgo(snapshot.created_at, now)],
    ],
    room,
  );
}
