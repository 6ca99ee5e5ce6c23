/** From an unpacked tree to a root file system of the right size. */
import { randomUUID } from 'node:crypto';
import { lstat, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../core/errors.ts';
import { ext4Arguments, groupMib, inodesPerGroupMax, inodesPerGroupMin } from '../../lib/ext4.ts';
import { takeFromJail } from '../../lib/jail.ts';
import { ProcessError } from '../../lib/process.ts';
import { addDevices } from './devices.ts';
import type { Staging } from './staging.ts';
import { runTool, type ToolOptions } from './tools.ts';
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

/** Writes the root file system and makes it durable; answers its size in MiB. Raises `invalid` for a tree that mkfs cannot take. */
export async function buildRoot(
  { work, treeName, rootName, rootPath }: Staging,
  unpacked: Unpacked,
  { name, timeoutMs, signal }: BuildOptions,
): Promise<number> {
  // Some of the tree its owner may not read.
  const tool: ToolOptions = { cwd: work, capabilities: ['dac_override'], fileBytesMax: 0, signal, timeoutMs };
  await requireShortPaths(treeName, tool);
  const { stdout } = await runTool('du', ['-smx', treeName], tool);
  // A host that packs its files says too little, an archive with holes too.
  const contentMib = Math.max(Number.parseInt(stdout, 10), Math.ceil(unpacked.bytes / mib));
  const { sizeMib, inodesPerGroup } = planSize(contentMib, unpacked.entries);
  const writing = { ...tool, fileBytesMax: sizeMib * mib };
  const format = { label: name, sizeMib, inodesPerGroup, uuid: randomUUID() };
  try {
    await runTool('mkfs.ext4', ext4Arguments(treeName, rootName, format), writing);
    await addDevices(rootName, unpacked.devices, writing);
  } catch (error) {
    throw explainedMkfs(error);
  }
  await takeRoot(join(work, rootName), rootPath, sizeMib);
  return sizeMib;
}

/** Out of the jail's reach, before anything is believed of it. */
async function takeRoot(made: string, rootPath: string, sizeMib: number): Promise<void> {
  const file = await takeFromJail(made);
  try {
    await file.truncate(sizeMib * mib);
    await file.chmod(0o444);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(made, rootPath);
}

async function requireShortPaths(treeName: string, tool: ToolOptions): Promise<void> {
  const pattern = `${'?'.repeat(Buffer.byteLength(treeName) + 1 + pathBytesMax + 1)}*`;
  const { stdout } = await runTool(
    'find',
    [treeName, '-xdev', '-path', pattern, '-printf', 'x', '-quit'],
    tool,
  );
  if (stdout === '') return;
  throw new AppError('invalid', `the root file system has a path of more than ${pathBytesMax} bytes`);
}

/** What mkfs says of the tree, in words for its owner. */
export function explainedMkfs(error: unknown): unknown {
  if (!(error instanceof ProcessError) || error.isMissing || error.isTimeout) return error;
  if (/No space left on device|Disk quota exceeded/.test(error.stderr)) return error;
  return new AppError('invalid', `no file system can be made of this: ${error.message}`, { cause: error });
}
