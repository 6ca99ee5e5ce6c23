/**
 * The kernels in the cache. `kernel/<release>/` holds `vmlinux`, `modules/<name>.ko` and `kernel.json`, written last;
 * `kernel/current.json` names the release that guests boot. One comes from the distribution's package, the others were
 * built here. Only the holder of the set-up lock may change any of it.
 */
import { readdir, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { AppError } from '../../core/errors.ts';
import { writeFileAtomic } from '../../lib/files.ts';
import type { CacheLayout } from '../../storage/layout.ts';
import { type FileRecord, isUnchanged, readJson } from '../fingerprint.ts';

/** Increment one when the content of `kernel/<release>/` changes its form; older ones are then not used any more. */
export const recipes = { packaged: 3, built: 1 } as const;

/** Whose package it is from, or `built` on this host. */
export type KernelKind = 'debian' | 'ubuntu' | 'built';

export interface KernelSource {
  readonly packageName: string;
  readonly version: string;
  readonly digest: string;
}

export interface Kernel {
  /** The output of `uname -r` in a guest. */
  readonly release: string;
  readonly kind: KernelKind;
  readonly vmlinuxPath: string;
  readonly vmlinuxBytes: number;
  /** Null when it was made before packages were recorded. */
  readonly source: KernelSource | null;
  /** Hash of what it was built from; null for a package's. */
  readonly inputsHash: string | null;
  /** When it was downloaded or built. */
  readonly madeAt: Date;
  /** See `BootKit`: false for one built with the configuration of this checkout. */
  readonly needsAcpi: boolean;
  /** Module files in load order. */
  readonly modulePaths: readonly string[];
  /** The same, for guests whose devices the first list does not find. */
  readonly fallbackModulePaths: readonly string[];
}

const releasePattern = /^\w[\w.+~-]*$/;

/** The kernel that guests boot; null when there is no complete one. */
export async function findKernel(cache: CacheLayout): Promise<Kernel | null> {
  const release = await usedRelease(cache);
  return release === null ? null : readKernel(cache, release);
}

/** The release that `current.json` names, whether it is whole or not. */
export async function usedRelease(cache: CacheLayout): Promise<string | null> {
  const current = await readJson(join(cache.kernels, 'current.json'));
  const release = current?.release;
  return typeof release === 'string' && releasePattern.test(release) ? release : null;
}

/** A kernel of the cache; null when it is not there, damaged, or of another recipe. */
export async function readKernel(cache: CacheLayout, release: string): Promise<Kernel | null> {
  const dir = join(cache.kernels, release);
  const record = await readJson(join(dir, 'kernel.json'));
  const kind = kindOf(record?.kind);
  if (record?.recipe !== (kind === 'built' ? recipes.built : recipes.packaged)) return null;
  const vmlinuxPath = join(dir, 'vmlinux');
  const made = { ...(record.vmlinux as Partial<FileRecord>), bytes: Number(record.vmlinuxBytes) };
  if (!(await isUnchanged(vmlinuxPath, made))) return null;
  const paths = (names: unknown) =>
    (Array.isArray(names) ? names : []).map((name) => join(dir, 'modules', `${basename(String(name))}.ko`));
  return {
    release,
    kind,
    vmlinuxPath,
    vmlinuxBytes: Number(record.vmlinuxBytes),
    source: readSource(record),
    inputsHash: typeof record.inputsHash === 'string' ? record.inputsHash : null,
    madeAt: (await stat(join(dir, 'kernel.json'))).mtime,
    needsAcpi: kind !== 'built',
    modulePaths: paths(record.modules),
    fallbackModulePaths: paths(record.fallbackModules),
  };
}

/** Records of earlier versions name no kind; set-up is tested on Debian. */
function kindOf(kind: unknown): KernelKind {
  return kind === 'built' || kind === 'ubuntu' ? kind : 'debian';
}

function readSource(record: Readonly<Record<string, unknown>>): KernelSource | null {
  const { package: packageName, packageVersion: version, vmlinux } = record;
  const digest = (vmlinux as Partial<FileRecord> | undefined)?.digest;
  if (typeof packageName !== 'string' || typeof version !== 'string' || digest === undefined) return null;
  return { packageName, version, digest };
}

/** All whole kernels of the cache, the newest first. */
export async function listKernels(cache: CacheLayout): Promise<readonly Kernel[]> {
  const names = await readdir(cache.kernels).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const releases = names.filter((name) => releasePattern.test(name) && name !== 'current.json');
  const kernels = await Promise.all(releases.map((release) => readKernel(cache, release)));
  return kernels
    .filter((kernel) => kernel !== null)
    .sort((one, other) => other.madeAt.getTime() - one.madeAt.getTime());
}

/** A kernel by its release, or the newest of a kind. Raises `not_found`, naming those there are. */
export async function namedKernel(cache: CacheLayout, name: string): Promise<Kernel> {
  const kernels = await listKernels(cache);
  const kernel = kernels.find(({ release }) => release === name) ?? kernels.find(({ kind }) => kind === name);
  if (kernel) return kernel;
  if (name === 'built') {
    throw new AppError('not_found', 'no kernel has been built on this host', {
      hint: 'Build one: ./flotilla kernel build',
    });
  }
  const known = kernels.map(({ release }) => release).join(', ');
  throw new AppError('not_found', `the cache has no whole kernel '${name}'`, {
    hint:
      known === ''
        ? 'Run ./flotilla setup, or ./flotilla kernel build.'
        : `There are ${known}; or say built.`,
  });
}

/** Makes a kernel of the cache the one that guests boot, once the boot kit is made of it. */
export async function takeIntoUse(cache: CacheLayout, release: string): Promise<void> {
  await writeFileAtomic(join(cache.kernels, 'current.json'), JSON.stringify({ release }), 0o644);
}

/** Removes all but one of the kernels that came from packages, also those that are not whole. */
export async function removeOtherPackaged(cache: CacheLayout, kept: string): Promise<void> {
  for (const name of await readdir(cache.kernels)) {
    if (name === kept || name === 'current.json') continue;
    const record = await readJson(join(cache.kernels, name, 'kernel.json'));
    if (record?.kind !== 'built') await removeKernel(cache, name);
  }
}

/** Removes a kernel of the cache. Boot kits have their own hard links to its files. */
export async function removeKernel(cache: CacheLayout, release: string): Promise<void> {
  const dir = join(cache.kernels, release);
  // Without its record it is no kernel, should the removal be interrupted.
  await rm(join(dir, 'kernel.json'), { force: true });
  await rm(dir, { recursive: true, force: true });
}
