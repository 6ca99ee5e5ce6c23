/**
 * Set-up: from a bare host to a cache from which machines can be started. Every step checks first and does
 * nothing if its result exists. A step that fails or is interrupted leaves the old result or none, and the
 * next run continues.
 */
import { AppError } from '../core/errors.ts';
import type { CacheLayout, StateLayout } from '../storage/layout.ts';
import { childEnvironment, type Environment, type SetupContext, sourceRootDefault } from './context.ts';
import { readDistro } from './distro.ts';
import { goTools, inspectGoTool } from './go-tools.ts';
import { inspectGuestAgent } from './guest-agent.ts';
import { buildBusybox, isBusyboxBuilt } from './images/busybox.ts';
import { buildDebian, isDebianBuilt } from './images/debian.ts';
import { findKernel } from './kernel/kernels.ts';
import { isKitBuilt } from './kit/kit.ts';
import { withLock } from './lock.ts';
import { missingPackages } from './packages.ts';
import type { Progress, StepProgress } from './progress.ts';
import { agentStep, goToolStep, inStep, kernelStep, kitStep, packagesStep } from './steps.ts';
import { removeLeftovers, requireSpace } from './workspace.ts';

export const builtInImages = ['busybox', 'debian-12'] as const;
export type BuiltInImage = (typeof builtInImages)[number];

export interface SetupOptions {
  readonly cache: CacheLayout;
  /** The state directory, whose free space is checked. */
  readonly state?: StateLayout;
  /** Also replaces an existing kernel and images by the archive's newest. */
  readonly isRefresh?: boolean;
  /** Built in this order. */
  readonly images: readonly BuiltInImage[];
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Base environment of child programs. */
  readonly env: Environment;
  /** The checkout whose guest agent is built. Default: this one. */
  readonly sourceRoot?: string;
}

/** Free space needed by each step, in MiB: its result, its inputs, and both at once while it runs. */
const spaceMib = { prerequisites: 700, busybox: 100, 'debian-12': 1500, state: 700 };

/**
 * Does everything: prerequisites, then `options.images`. Idempotent; several may run at once. Raises
 * `unsupported` (impossible for this host or user), `exhausted` (disk), `unavailable` (network, lock),
 * `timeout`; each with a hint.
 */
export async function setup(options: SetupOptions): Promise<void> {
  await setupPrerequisites(options);
  for (const image of options.images) await setupImage(options, image);
}

/** Packages, guest agent, kernel and boot kit: required by all machines. */
export async function setupPrerequisites(options: Omit<SetupOptions, 'images'>): Promise<void> {
  const context = contextOf(options);
  const { isRefresh = false } = options;
  if (!isRefresh && (await arePrerequisitesThere(context)))
    return options.progress.step('prerequisites').done('up to date');
  const distro = await readDistro();
  if (!distro.isProved) {
    options.progress
      .step('this host')
      .done(`${distro.title}: set-up is tested on Debian 12 only, and may fail here`);
  }
  await requireSpace(context.cache.root, spaceMib.prerequisites);
  if (options.state) await requireSpace(options.state.root, spaceMib.state);
  await locked(options, context, async () => {
    // Packages first, because later steps use them.
    await packagesStep(options.progress, context, distro);
    const agent = await agentStep(options.progress, context);
    for (const tool of Object.values(goTools)) await goToolStep(options.progress, context, tool);
    const kernel = await kernelStep(options.progress, context, distro, isRefresh);
    await kitStep(options.progress, context, kernel, agent);
  });
}

/** Builds one built-in image; needs the prerequisites. */
export async function setupImage(options: Omit<SetupOptions, 'images'>, image: BuiltInImage): Promise<void> {
  const context = contextOf(options);
  const builder = imageBuilders[image];
  const { isRefresh = false } = options;
  if (!isRefresh && (await builder.isBuilt(context)))
    return options.progress.step(`image ${image}`).done('up to date');
  if (process.geteuid?.() !== 0) {
    throw new AppError('unsupported', `only root can build the image ${image}`, {
      hint: 'Run ./flotilla setup as root: the files in an image must belong to their own users.',
    });
  }
  await requireSpace(context.cache.root, spaceMib[image]);
  await locked(options, context, () =>
    inStep(options.progress, `image ${image}`, context.signal, async (step) => {
      // Another set-up may have made it while we waited for the lock.
      if (!isRefresh && (await builder.isBuilt(context))) return { said: 'up to date', value: undefined };
      await builder.build(context, step.update);
      return { value: undefined };
    }),
  );
}

interface ImageBuilder {
  isBuilt(context: SetupContext): Promise<boolean>;
  build(context: SetupContext, onProgress: (text: string) => void): Promise<void>;
}

const imageBuilders: Readonly<Record<BuiltInImage, ImageBuilder>> = {
  busybox: { isBuilt: isBusyboxBuilt, build: buildBusybox },
  'debian-12': { isBuilt: isDebianBuilt, build: buildDebian },
};

/** The input of a step that is run with these options. */
export function contextOf(options: Omit<SetupOptions, 'images'>): SetupContext {
  return {
    cache: options.cache,
    env: childEnvironment(options.env),
    sourceRoot: options.sourceRoot ?? sourceRootDefault,
    signal: options.signal,
  };
}

/** Runs `work` as the only set-up of this cache, and removes the leftovers of interrupted ones first. */
export function locked<T>(
  options: Omit<SetupOptions, 'images'>,
  context: SetupContext,
  work: () => Promise<T>,
): Promise<T> {
  let waiting: StepProgress | null = null;
  const onWait = () => {
    waiting = options.progress.step('set-up lock');
    waiting.update('another set-up is running; waiting for it');
  };
  return withLock(context.cache.lockFile, { env: context.env, signal: context.signal, onWait }, async () => {
    waiting?.done('the other set-up has ended');
    await removeLeftovers(context.cache);
    return await work();
  });
}

async function arePrerequisitesThere(context: SetupContext): Promise<boolean> {
  const agent = await inspectGuestAgent(context);
  const kernel = await findKernel(context.cache);
  for (const tool of Object.values(goTools)) {
    if (!(await inspectGoTool(context, tool)).isBuilt) return false;
  }
  if (!agent.isBuilt || !kernel || !(await isKitBuilt(context.cache, kernel, agent))) return false;
  return (await missingPackages(context, false)).length === 0;
}
