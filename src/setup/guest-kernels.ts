/** What `flotilla kernel` does: builds kernels for guests, chooses among those of the cache, and removes them. */
import { AppError } from '../core/errors.ts';
import { refreshLists } from './apt.ts';
import { readDistro } from './distro.ts';
import { inspectGuestAgent } from './guest-agent.ts';
import { buildKernel, buildPackages, cacheMib, findBuilt, scratchMib } from './kernel/build/build.ts';
import { readRecipe, sourceCandidate } from './kernel/build/recipe.ts';
import { scratchParent } from './kernel/build/scratch.ts';
import { findKernel, type Kernel, namedKernel, removeKernel, takeIntoUse } from './kernel/kernels.ts';
import { addPackages, missingOf } from './packages.ts';
import { contextOf, locked, type SetupOptions } from './setup.ts';
import { inStep, kitStep } from './steps.ts';
import { requireSpace } from './workspace.ts';

type Options = Omit<SetupOptions, 'images'>;

/** Said before anything is done: nobody expects a command to take this long. */
const effort = `${scratchMib} MiB of disk for the build, 140 MB of sources to download, and 6 to 12 minutes of two processors`;

/**
 * Builds the kernel of this checkout's `guest-kernel/` and Debian's newest source, unless the cache has it. Guests boot
 * it after `useKernel`. Raises `unsupported`, `exhausted` and `unavailable` like `setup`.
 */
export async function buildGuestKernel(options: Options): Promise<Kernel> {
  const context = contextOf(options);
  const { progress, signal } = options;
  const distro = await readDistro();
  const recipe = await inStep(progress, 'kernel source', signal, async (step) => {
    await refreshLists(context, step.update);
    const source = await sourceCandidate(context, distro);
    return { value: await readRecipe(context, source), said: `${source.packageName} ${source.version}` };
  });
  const there = await findBuilt(context.cache, recipe);
  if (there) {
    progress.step('kernel').done(`${there.release} is up to date`);
    return there;
  }
  progress.step('this build').done(`needs ${effort}`);
  await requireSpace(scratchParent(context), scratchMib);
  await requireSpace(context.cache.root, cacheMib);
  return locked(options, context, async () => {
    // Another build may have made it while we waited for the lock.
    const waitedFor = await findBuilt(context.cache, recipe);
    if (waitedFor) return waitedFor;
    await inStep(progress, 'packages', signal, async (step) => {
      const missing = await missingOf(context, buildPackages);
      if (missing.length === 0) return { value: undefined, said: 'up to date' };
      await addPackages(context, distro, missing, step.update);
      return { value: undefined, said: `installed ${missing.join(' ')}` };
    });
    return inStep(progress, 'kernel', signal, async (step) => {
      const kernel = await buildKernel(context, recipe, step.update);
      return { value: kernel, said: kernel.release };
    });
  });
}

/**
 * Makes a kernel the one of the boot kit, by its release or the newest of a kind. Daemons take the kit when they start;
 * machines that run keep theirs. Raises `not_found`, and `unavailable` before set-up has built the guest agent.
 */
export async function useKernel(options: Options, name: string): Promise<Kernel> {
  const context = contextOf(options);
  await namedKernel(context.cache, name);
  return locked(options, context, async () => {
    const kernel = await namedKernel(context.cache, name);
    const agent = await inspectGuestAgent(context);
    if (!agent.isBuilt) {
      throw new AppError('unavailable', 'there is no guest agent to boot with yet', {
        hint: 'Run ./flotilla setup first.',
      });
    }
    await takeIntoUse(context.cache, kernel.release);
    await kitStep(options.progress, context, kernel, agent);
    return kernel;
  });
}

/** Removes a kernel of the cache. Raises `not_found`, and `conflict` for the one in use. */
export async function removeGuestKernel(options: Options, name: string): Promise<Kernel> {
  const context = contextOf(options);
  await namedKernel(context.cache, name);
  return locked(options, context, async () => {
    const kernel = await namedKernel(context.cache, name);
    if ((await findKernel(context.cache))?.release === kernel.release) {
      throw new AppError('conflict', `guests boot the kernel ${kernel.release}`, {
        hint: 'Choose another first: ./flotilla kernel use NAME',
      });
    }
    await removeKernel(context.cache, kernel.release);
    return kernel;
  });
}
