/**
 * Makes a boot kit from the kernel inside a root file system. The tree is untrusted: links in it are not
 * followed, unpacking is bounded and done in a jail, and none of its programs is run here.
 */
import { copyFile, lstat, mkdir, opendir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../core/errors.ts';
import type { CacheLayout } from '../../storage/layout.ts';
import { findGuestAgent } from '../guest-agent.ts';
import { copyModules } from '../kernel/kernel.ts';
import type { ToolContext } from '../kernel/unpack.ts';
import { extractVmlinux, requireElf, vmlinuxBytesMax } from '../kernel/vmlinux.ts';
import { writeKit } from './kit.ts';

const imagePattern = /^(vmlinuz|vmlinux)-([A-Za-z0-9][\w.+~-]{0,63})$/;
/** Limit for `/boot`; real ones have some dozens. */
const bootEntriesMax = 4096;
/** Number of kernels examined. */
const kernelsMax = 64;
/** Numbers in a release compare numerically: 6.10 is newer than 6.9. */
const releases = new Intl.Collator('en', { numeric: true });
const moduleParents = ['lib/modules', 'usr/lib/modules'] as const;

export interface TreeKernel {
  readonly release: string;
  /** A bzImage (`vmlinuz`) or an ELF file (`vmlinux`). */
  readonly imagePath: string;
  readonly isElf: boolean;
  readonly modulesPath: string;
}

/** The newest kernel of a tree that has modules. Raises `invalid`, naming the paths searched. */
export async function findTreeKernel(tree: string): Promise<TreeKernel> {
  const boot = await ownPath(tree, 'boot', 'directory');
  const kernels = boot === null ? [] : await listKernels(boot);
  for (const { name, kind, release } of kernels) {
    const imagePath = await ownPath(tree, `boot/${name}`, 'file');
    const modulesPath = await findModules(tree, release);
    if (imagePath && modulesPath) return { release, imagePath, isElf: kind === 'vmlinux', modulesPath };
  }
  const found = kernels.map(({ name }) => `/boot/${name}`).slice(0, 5);
  throw new AppError('invalid', 'the root file system has no kernel with its modules', {
    hint:
      found.length === 0
        ? 'Looked for /boot/vmlinuz-<release> and /boot/vmlinux-<release>.'
        : `Found ${found.join(', ')}; looked for /lib/modules/<release> and /usr/lib/modules/<release> with modules.builtin.`,
  });
}

/**
 * Writes `kernel`, `initrd` and `kit.json` to `target`, an empty directory. Raises `invalid` when the tree
 * has no kernel, `unsupported` when it cannot boot here or lacks a driver, `unavailable` before set-up has
 * built the guest agent.
 */
export async function makeTreeKit(
  { cache, ...given }: Omit<ToolContext, 'trust'> & { readonly cache: CacheLayout },
  tree: string,
  target: string,
): Promise<void> {
  const context: ToolContext = { ...given, trust: 'hostile' };
  const agent = await findGuestAgent(cache);
  if (!agent) {
    throw new AppError('unavailable', 'there is no guest agent to boot with yet', {
      hint: 'Run ./flotilla setup.',
    });
  }
  const kernel = await findTreeKernel(tree);
  const work = join(target, 'work');
  await mkdir(join(work, 'modules'), { recursive: true });
  try {
    await takeKernel(context, kernel, join(target, 'kernel'));
    const plan = await copyModules(context, kernel.modulesPath, join(work, 'modules'));
    const paths = (names: readonly string[]) => names.map((name) => join(work, 'modules', `${name}.ko`));
    const modules = { modulePaths: paths(plan.first), fallbackModulePaths: paths(plan.fallback) };
    await writeKit(target, { release: kernel.release, needsAcpi: true, ...modules }, agent);
  } catch (error) {
    context.signal.throwIfAborted();
    if (error instanceof AppError || (error as NodeJS.ErrnoException).code === 'ENOSPC') throw error;
    throw new AppError('unsupported', `the kernel ${kernel.release} of the root file system cannot be used`, {
      cause: error,
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

interface NamedKernel {
  readonly name: string;
  readonly kind: string;
  readonly release: string;
}

/** The newest first; limited in number. */
async function listKernels(boot: string): Promise<readonly NamedKernel[]> {
  const kernels: NamedKernel[] = [];
  let entries = 0;
  for await (const { name } of await opendir(boot)) {
    entries += 1;
    if (entries > bootEntriesMax) {
      throw new AppError('invalid', `/boot of the root file system has more than ${bootEntriesMax} entries`);
    }
    const [, kind, release] = imagePattern.exec(name) ?? [];
    if (kind && release) kernels.push({ name, kind, release });
  }
  // If both exist, the ELF file needs no unpacking.
  kernels.sort(
    (one, other) => releases.compare(other.release, one.release) || (one.kind < other.kind ? -1 : 1),
  );
  return kernels.slice(0, kernelsMax);
}

async function takeKernel(
  context: ToolContext,
  { imagePath, isElf }: TreeKernel,
  target: string,
): Promise<void> {
  const { size } = await lstat(imagePath);
  if (size > vmlinuxBytesMax) throw new AppError('unsupported', 'the kernel is too large');
  if (!isElf) return extractVmlinux(imagePath, target, context);
  await copyFile(imagePath, target);
  await requireElf(target);
}

async function findModules(tree: string, release: string): Promise<string | null> {
  for (const parent of moduleParents) {
    const dir = await ownPath(tree, `${parent}/${release}`, 'directory');
    if (dir && (await ownPath(tree, `${parent}/${release}/modules.builtin`, 'file'))) return dir;
  }
  return null;
}

/** The path in the tree if it exists and no part of it is a link, which could lead out of the tree. */
async function ownPath(tree: string, path: string, kind: 'directory' | 'file'): Promise<string | null> {
  const parts = path.split('/');
  for (const length of parts.keys()) {
    const facts = await lstat(join(tree, ...parts.slice(0, length + 1))).catch(() => null);
    const isLast = length === parts.length - 1;
    const isRight = isLast && kind === 'file' ? facts?.isFile() : facts?.isDirectory();
    if (!isRight) return null;
  }
  return join(tree, path);
}
