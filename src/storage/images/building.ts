/** From an unpacked tree to a root file system of the right size. */
import { randomUUID } from 'node:crypto';
import { lstat, open, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '../../core/errors.ts';
import { groupMib, inodesPerGroupMax, inodesPerGroupMin, makeExt4 } from '../../lib/ext4.ts';
import { ProcessError, type RunOptions, run } from '../../lib/process.ts';
import { toolEnvironment } from './tools.ts';
import type { Unpacked } from './unpack.ts';

const mib = 2 ** 20;
/** Room for the journal and tables, and for a guest whose disk is no larger than the image. */
const spareMib = 96;
const stepMib = 64;
/** Extents, directories and bitmaps of a tree that is large. */
const overhead = 1.03;
const inodeBytes = 256;
/** Real trees stay below a few hundred. Of some lengths from 2040 on, mkfs.ext4 writes beyond its own buffer. */
const pathBytesMax = 1024;
const programPlaces = ['bin', 'usr/bin'] as const;

/** Raises `invalid` unless a program could be started from the tree. */
export async function checkTree(tree: string): Promise<void> {
  if ((await readdir(tree)).length === 0) throw new AppError('invalid', 'the root file system is empty');
  for (const place of programPlaces) {
    if (await isOwnDirectory(tree, place)) return;
  }
  throw new AppError('invalid', 'the root file system has no directory /bin or /usr/bin', {
    hint: 'The archive must hold the root directory’s contents, as `tar -C rootfs .` or `docker export` makes it.',
  });
}

/** Looks at each part of the way: a link of the tree leads to the guest's files there, and to ours here. */
async function isOwnDirectory(tree: string, path: string): Promise<boolean> {
  let place = tree;
  for (const part of path.split('/')) {
    place = join(place, part);
    const facts = await lstat(place).catch(() => null);
    if (!facts?.isDirectory()) return false;
  }
  return true;
}

/** How large the file system must be, and how many inodes each of its groups has. Pure. */
export function planSize(
  contentMib: number,
  entries: number,
): { readonly sizeMib: number; readonly inodesPerGroup: number } {
  const byContent = Math.ceil(contentMib * overhead + (entries * inodeBytes) / mib) + spareMib;
  // A quarter of the inodes stays free for what the guest adds.
  const groups = Math.ceil((entries * 4) / 3 / inodesPerGroupMax);
  const sizeMib = Math.ceil(Math.max(byContent, groups * groupMib) / stepMib) * stepMib;
  const wanted = Math.ceil((entries * 4) / 3 / Math.ceil(sizeMib / groupMib));
  return { sizeMib, inodesPerGroup: Math.min(Math.max(wanted, inodesPerGroupMin), inodesPerGroupMax) };
}

export interface BuildOptions {
  readonly name: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Writes `target` and makes it durable; answers its size in MiB. Raises `invalid` for a tree that mkfs cannot take. */
export async function buildRoot(
  tree: string,
  target: string,
  unpacked: Unpacked,
  { name, timeoutMs, signal }: BuildOptions,
): Promise<number> {
  const env = toolEnvironment;
  const tool = { env, signal, timeoutMs, isBoundToUs: true };
  await requireShortPaths(tree, tool);
  const { stdout } = await run('du', ['-smx', tree], tool);
  // A host that packs its files says too little, an archive with holes too.
  const contentMib = Math.max(Number.parseInt(stdout, 10), Math.ceil(unpacked.bytes / mib));
  const { sizeMib, inodesPerGroup } = planSize(contentMib, unpacked.entries);
  const options = { ...tool, label: name, sizeMib, inodesPerGroup, uuid: randomUUID() };
  await makeExt4(tree, target, options).catch((error: unknown) => {
    throw explainedMkfs(error, tree);
  });
  await syncFile(target);
  return sizeMib;
}

async function requireShortPaths(tree: string, tool: RunOptions): Promise<void> {
  const pattern = `${'?'.repeat(Buffer.byteLength(tree) + 1 + pathBytesMax + 1)}*`;
  const { stdout } = await run('find', [tree, '-xdev', '-path', pattern, '-printf', 'x', '-quit'], tool);
  if (stdout === '') return;
  throw new AppError('invalid', `the root file system has a path of more than ${pathBytesMax} bytes`);
}

/** What mkfs says of the tree in words for its owner, who is not to learn where on this host it lay. */
export function explainedMkfs(error: unknown, tree: string): unknown {
  if (!(error instanceof ProcessError) || error.isMissing || error.isTimeout) return error;
  if (/No space left on device|Disk quota exceeded/.test(error.stderr)) return error;
  const staging = `${dirname(tree)}/`;
  const message = error.message.replaceAll(`${tree}/`, '/').replaceAll(tree, '/').replaceAll(staging, '');
  return new AppError('invalid', `no file system can be made of this: ${message}`, { cause: error });
}

async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
