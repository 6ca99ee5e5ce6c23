/** `images`: manages the root file systems that machines start from. */
import { Command, Option } from 'commander';
import type { Image } from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { forEachId } from '../each.ts';
import { importImage } from '../image-import.ts';
import { addListingOptions, type ListingOptions, limitOf, printListing } from '../listing.ts';
import { mebibytes as sizeFrom } from '../options.ts';
import { age, json, line, mebibytes, momentAgo, pairsText } from '../output.ts';
import { collect } from '../paging.ts';
import type { Column } from '../table.ts';

interface ImportOptions {
  readonly kernel?: 'host' | 'image';
  readonly minMemory?: number;
  readonly json?: true;
}

export function define(context: Context): Command {
  const memory = sizeFrom(16, 1_048_576);
  const noun = new Command('images').description(
    'Manage images: the root file systems that machines start from.',
  );
  addListingOptions(noun.command('ls'), 'names')
    .description('List images by name: shared ones and your own.')
    .action((options: ListingOptions) => list(context, options));
  noun
    .command('get')
    .description('Show one image.')
    .argument('<image>', 'name')
    .option('--json', 'print the image as the API gives it')
    .action(async (name: string, options: { readonly json?: true }) => {
      const image = await context.client.images.get(name, { signal: context.signal });
      await context.print(options.json ? json(image) : describe(image, Date.now(), context.room));
    });
  noun
    .command('import')
    .description(
      'Make an image from a local directory or tar archive, for your tenant, and print its name.\n' +
        'The import is atomic: on failure or Ctrl-C nothing is left behind.',
    )
    .argument('<name>', 'name of the new image')
    .argument('<path>', 'directory, or tar archive: plain, or packed with gzip, zstd, xz or bzip2')
    .addOption(
      new Option(
        '--kernel <kernel>',
        'kernel of its guests: this host’s (default), or the one in its /boot',
      ).choices(['host', 'image']),
    )
    .option('--min-memory <size>', 'minimum memory of its machines, such as 256m (default: 96m)', memory)
    .option('--json', 'print the image as the API gives it')
    .action(async (name: string, path: string, { kernel, minMemory, ...options }: ImportOptions) => {
      const image = await importImage(context, name, path, { kernel, min_memory_mib: minMemory });
      await context.print(options.json ? json(image) : line(image.name));
    });
  noun
    .command('rm')
    .description('Remove imported images that no machine uses, and print their names.')
    .argument('<image...>', 'names')
    .option('--json', 'print an object with the names that were removed')
    .action((names: string[], options: { readonly json?: true }) => remove(context, names, options.json));
  return noun;
}

async function list(context: Context, options: ListingOptions): Promise<void> {
  const { client, signal } = context;
  const found = await collect<Image>(limitOf(options), async (page) => {
    const { images, total } = await client.images.list(page, { signal });
    return { items: images, total };
  });
  await printListing(context, options, found, {
    field: 'images',
    empty: 'no images; ./flotilla setup makes some, flotilla images import brings your own',
    id: (image) => image.name,
    columns: columns(Date.now()),
  });
}

async function remove(context: Context, names: readonly string[], isJson = false): Promise<void> {
  const { client, signal } = context;
  const deleted: string[] = [];
  const exitCode = await forEachId(context, names, 'removing', async (name) => {
    await client.images.delete(name, { signal });
    deleted.push(name);
    return isJson ? '' : line(name);
  });
  if (isJson) await context.print(json({ deleted }));
  context.exitWith(exitCode);
}

function columns(now: number): readonly Column<Image>[] {
  return [
    { title: 'NAME', text: (image) => image.name, cutTo: 20 },
    { title: 'DISK', text: (image) => mebibytes(image.size_mib), leftOut: 2 },
    { title: 'MEMORY', text: (image) => mebibytes(image.min_memory_mib), leftOut: 3 },
    { title: 'KERNEL', text: (image) => image.kernel_release ?? image.kernel, cutTo: 12, leftOut: 5 },
    { title: 'FOR', text: audienceOf, cutTo: 8, leftOut: 4 },
    { title: 'AGE', text: (image) => age(image.created_at, now), leftOut: 1 },
  ];
}

function audienceOf(image: Image): string {
  if (image.built_in) return 'everyone, built in';
  return image.shared ? 'everyone' : 'you';
}

function describe(image: Image, now: number, room: number): string {
  return pairsText(
    [
      ['name', image.name],
      ['digest', image.digest],
      ['disk', `${mebibytes(image.size_mib)} or more`],
      ['memory', `${mebibytes(image.min_memory_mib)} or more`],
      ['kernel', image.kernel === 'host' ? 'the host’s' : `its own, ${image.kernel_release ?? 'unknown'}`],
      ['for', audienceOf(image)],
      ['created', momentAgo(image.created_at, now)],
    ],
    room,
  );
}
