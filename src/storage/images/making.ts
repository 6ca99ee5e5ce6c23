/**
 * Makes an image in a staging directory: writes, takes over, hashes. The image is not visible to anyone yet.
 */
import type { StatsFs } from 'node:fs';
import { mkdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../core/errors.ts';
import type { ImageImport } from '../../core/ports/images.ts';
import { fileDigest } from '../../lib/digest.ts';
import { writeFileAtomic } from '../../lib/files.ts';
import { giveToJail } from '../../lib/jail.ts';
import { removeTree } from '../../lib/remove-tree.ts';
import { bringInImageBuilder } from '../go-programs.ts';
import { type BuildLimits, buildRoot, extractKernels, takeRoot } from './building.ts';
import { type BootKitRecord, bootKitRecord, type MadeImage, madeImage, readRecord } from './records.ts';
import { openSource, type Places } from './sources.ts';
import type { Staging } from './staging.ts';

/**
 * Makes a boot kit from the newest kernel in `tree` in `target`, an empty directory: `kernel`, `initrd` and
 * `kit.json`. Raises `invalid` when the tree has no kernel, `unsupported` when it cannot boot guests here.
 */
export type MakeBootKit = (tree: string, target: string, signal: AbortSignal) => Promise<void>;

export interface ImportLimits {
  /** See `BuildLimits`. */
  readonly bytesMax: number;
  readonly entriesMax: number;
  /** Disk space that an import leaves free on the state directory's file system. */
  readonly reserveBytes: number;
  /** For one program that the import runs; the caller's signal may end it sooner. */
  readonly toolTimeoutMs: number;
}

export const importLimitsDefault: ImportLimits = {
  bytesMax: 64 * 2 ** 30,
  entriesMax: 2_000_000,
  reserveBytes: 2 ** 30,
  toolTimeoutMs: 20 * 60_000,
};

export interface MakingOptions extends Places {
  readonly limits: ImportLimits;
  readonly makeBootKit?: MakeBootKit;
  readonly signal: AbortSignal;
}

/** Makes an image in a staging directory. Reuses complete results of an interrupted call. */
export async function makeImage(
  request: ImageImport,
  staging: Staging,
  options: MakingOptions,
): Promise<MadeImage> {
  const { signal, limits } = options;
  const there = await readMade(staging);
  if (there) return there;
  requireRoot();
  await emptyWork(staging);
  const timeoutMs = limits.toolTimeoutMs;
  const room = planRoom(await statfs(staging.dir), limits);
  const chunks = await openSource(request.source, staging, options, signal);
  const builderPath = await findBuilder(options);
  const building = { name: request.name, builderPath, limits: room, timeoutMs, signal };
  const rootMib = await buildRoot(chunks, staging, building);
  const kitDigest = request.kernel === 'image' ? await makeKit(staging, options) : null;
  await takeRoot(staging, rootMib);
  await removeTree(staging.work);
  const digest = await fileDigest(staging.rootPath, signal);
  const made = { rootMib, digest, createdAt: new Date().toISOString(), kitDigest };
  await writeFileAtomic(staging.made, `${JSON.stringify(made)}\n`);
  return made;
}

async function findBuilder({ cache, state }: Places): Promise<string> {
  const path = await bringInImageBuilder(cache, state);
  if (path !== null) return path;
  throw new AppError('unavailable', 'the image builder is not built', { hint: 'Run ./flotilla setup.' });
}

/** Null until the image is complete. */
export function readMade({ made }: Pick<Staging, 'made'>): Promise<MadeImage | null> {
  return readRecord(made, madeImage);
}

async function emptyWork({ work, kit }: Staging): Promise<void> {
  for (const dir of [work, kit]) {
    await removeTree(dir);
    await mkdir(dir, { mode: 0o700 });
  }
  await giveToJail(work);
}

/** Only root can give files to other users. */
function requireRoot(): void {
  if (process.getuid?.() === 0) return;
  throw new AppError('unsupported', 'only a daemon that runs as root imports images', {
    hint: 'Run the daemon as root: only root can give files to the users of the guest.',
  });
}

/**
 * How much an archive may hold with this much free space: a quarter of it, because two imports run at once and
 * each has its content on disk twice for a while. Raises `exhausted` when that is nothing. Pure.
 */
export function planRoom(
  { bavail, bsize }: Pick<StatsFs, 'bavail' | 'bsize'>,
  { bytesMax, entriesMax, reserveBytes }: Omit<ImportLimits, 'toolTimeoutMs'>,
): BuildLimits {
  const full = new AppError('exhausted', 'this host’s disk has no room for the root file system', {
    hint: 'Free some space in the state directory, or delete machines.',
  });
  const freeBytes = Math.floor((bavail * bsize - reserveBytes) / 4);
  if (freeBytes <= 0) throw full;
  const mib = Math.floor(bytesMax / 2 ** 20);
  return {
    bytesMax: Math.min(bytesMax, freeBytes),
    tooLarge:
      freeBytes < bytesMax
        ? full
        : new AppError('invalid', `the root file system is larger than ${mib} MiB`, {
            hint: 'Remove files that the guest does not need; each file, directory and link counts 8 KiB beside its content.',
          }),
    entriesMax,
    tooMany: new AppError('invalid', `the archive has more than ${entriesMax} entries`, {
      hint: 'Remove files that the guest does not need.',
    }),
  };
}

async function makeKit(staging: Staging, { makeBootKit, limits, signal }: MakingOptions): Promise<string> {
  if (!makeBootKit) throw new AppError('unsupported', 'this host takes no kernels from images');
  const { kit } = staging;
  const { bytesMax: fileBytesMax, toolTimeoutMs: timeoutMs } = limits;
  const tree = await extractKernels(staging, { fileBytesMax, timeoutMs, signal });
  await makeBootKit(tree, kit, signal);
  const record = await readKit(kit);
  if (!record) throw new AppError('internal', `no boot kit was made in ${kit}`);
  return record.digest;
}

/** The kit made in a staging directory. */
export function readKit(dir: string): Promise<BootKitRecord | null> {
  return readRecord(join(dir, 'kit.json'), bootKitRecord);
}
