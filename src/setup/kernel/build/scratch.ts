/**
 * The directory in which Linux is unpacked and compiled. It is outside the cache, because the compiler runs as another
 * user, who must be able to pass through all its parents. Nothing in it is ever used as it is: what a build makes is
 * copied out, checked, and published from a workspace of the cache.
 */
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, open, readdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { AppError } from '../../../core/errors.ts';
import { giveToJail, JailError, runJailed, takeFromJail } from '../../../lib/jail.ts';
import { ProcessError, type RunOptions, type RunResult, run } from '../../../lib/process.ts';
import { removeTree } from '../../../lib/remove-tree.ts';
import type { CacheLayout } from '../../../storage/layout.ts';
import type { SetupContext } from '../../context.ts';

/** The largest file is the kernel with its symbols. */
const fileBytesMax = 2 ** 30;
const memoryBytesMax = 4 * 2 ** 30;
/** Each compiler is a shell, a driver, a compiler and an assembler; make itself runs several levels deep. */
const processesMax = (jobs: number) => 64 + 8 * jobs;

/** The directory below which scratch directories are made. */
export function scratchParent({ env }: Pick<SetupContext, 'env'>): string {
  return resolve(env.TMPDIR || '/var/tmp');
}

/** How the names of a cache's scratch directories begin, so that builds for other caches keep theirs. */
export function scratchPrefix(cache: CacheLayout): string {
  return `flotilla-kernel-${createHash('sha256').update(cache.root).digest('hex').slice(0, 8)}-`;
}

export interface Scratch {
  /** Where programs run; empty at first. */
  readonly tree: string;
  /** Runs a program in `tree`: as an unused user and without network, or as ourselves if we are not root. */
  run(
    command: string,
    args: readonly string[],
    options: Pick<RunOptions, 'timeoutMs' | 'stdin' | 'onLine'> & { readonly env?: NodeJS.ProcessEnv },
  ): Promise<RunResult>;
  /** The bytes of a file that a program made. */
  open(name: string): ReturnType<typeof takeFromJail>;
}

/** Gives `work` a scratch directory; removes it afterwards, and first what earlier builds for this cache left. */
export async function withScratch<T>(
  context: SetupContext,
  jobs: number,
  work: (scratch: Scratch) => Promise<T>,
): Promise<T> {
  const parent = scratchParent(context);
  await requireOpen(parent);
  const prefix = scratchPrefix(context.cache);
  for (const name of await readdir(parent)) {
    if (name.startsWith(prefix)) await removeTree(join(parent, name));
  }
  const dir = await mkdtemp(join(parent, prefix));
  try {
    await chmod(dir, 0o711);
    return await work(await makeScratch(context, join(dir, 'linux'), jobs));
  } finally {
    await removeTree(dir);
  }
}

async function makeScratch(context: SetupContext, tree: string, jobs: number): Promise<Scratch> {
  await mkdir(tree, { mode: 0o755 });
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) await giveToJail(tree);
  // Nothing of ours: the build needs no more, and a secret in a variable is none of its business.
  const { PATH, LC_ALL } = context.env;
  const { signal } = context;
  return {
    tree,
    run: async (command, args, { env = {}, ...options }) => {
      const all = { ...options, env: { PATH, LC_ALL, ...env }, cwd: tree, signal };
      if (!isRoot) return run(command, args, all);
      const limits = { fileBytesMax, memoryBytesMax, threadsMax: processesMax(jobs) };
      return runJailed(command, args, { ...all, ...limits }).catch(refused);
    },
    open: (name) => (isRoot ? takeFromJail(join(tree, name)) : open(join(tree, name), 'r')),
  };
}

function refused(error: unknown): never {
  if (error instanceof ProcessError || !(error instanceof JailError)) throw error;
  throw new AppError(
    'unsupported',
    `this host has no jail to compile in, and root does not compile: ${error.message}`,
    {
      cause: error,
      hint: 'Run this command as a user who is not root, with a FLOTILLA_CACHE_DIR of its own.',
    },
  );
}

async function requireOpen(directory: string): Promise<void> {
  const { mode } = await stat(directory);
  if ((mode & 0o001) === 0) {
    throw new AppError('unsupported', `the user who compiles cannot pass through ${directory}`, {
      hint: 'Set TMPDIR to a directory that all users can pass through, like /var/tmp, and run this command again.',
    });
  }
  if (dirname(directory) !== directory) await requireOpen(dirname(directory));
}
