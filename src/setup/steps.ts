/** The steps that make the prerequisites; each checks first and does nothing if its result exists. */
import { updateLists } from './apt.ts';
import type { SetupContext } from './context.ts';
import type { Distro } from './distro.ts';
import { explaining } from './failures.ts';
import { buildGoTool, type GoTool, goTools, inspectGoTool } from './go-tools.ts';
import { buildGuestAgent, type GuestAgent, hasGo, inspectGuestAgent } from './guest-agent.ts';
import { fetchKernel, isNewest, kernelCandidate } from './kernel/kernel.ts';
import { findKernel, type Kernel, listKernels } from './kernel/kernels.ts';
import { buildKit, isKitBuilt } from './kit/kit.ts';
import { addPackages, missingPackages } from './packages.ts';
import type { Progress, StepProgress } from './progress.ts';

/** A step's result, and the text to show. */
export interface StepResult<T> {
  readonly value: T;
  readonly said?: string;
}

/** Runs one step, shows how it ended, and explains its failure. */
export async function inStep<T>(
  progress: Progress,
  name: string,
  signal: AbortSignal,
  work: (step: StepProgress) => Promise<StepResult<T>>,
): Promise<T> {
  const step = progress.step(name);
  try {
    const { value, said } = await explaining(`set up ${name}`, signal, () => work(step));
    step.done(said);
    return value;
  } catch (error) {
    step.fail(error instanceof Error ? error.message : String(error));
    throw error;
  }
}

/** Installs missing packages on the host, including Go if the agent has to be built. */
export function packagesStep(progress: Progress, context: SetupContext, distro: Distro): Promise<void> {
  return inStep(progress, 'packages', context.signal, async (step) => {
    const agent = await inspectGuestAgent(context);
    const tools = await Promise.all(Object.values(goTools).map((tool) => inspectGoTool(context, tool)));
    const areBuilt = [agent, ...tools].every(({ isBuilt }) => isBuilt);
    const needsGo = !areBuilt && !(await hasGo(context.env, context.signal));
    const missing = await missingPackages(context, needsGo);
    if (missing.length === 0) return { value: undefined, said: 'up to date' };
    await addPackages(context, distro, missing, step.update);
    return { value: undefined, said: `installed ${missing.join(' ')}` };
  });
}

/** Builds the guest agent from the present sources. */
export function agentStep(progress: Progress, context: SetupContext): Promise<GuestAgent> {
  return inStep(progress, 'guest agent', context.signal, async (step) => {
    const agent = await inspectGuestAgent(context);
    if (agent.isBuilt) return { value: agent, said: 'up to date' };
    step.update('compiling');
    await buildGuestAgent(context, agent);
    return { value: agent, said: agent.version };
  });
}

/** Builds a Go program from the present sources. */
export function goToolStep(progress: Progress, context: SetupContext, tool: GoTool): Promise<void> {
  return inStep(progress, tool.title, context.signal, async (step) => {
    const present = await inspectGoTool(context, tool);
    if (present.isBuilt) return { value: undefined, said: 'up to date' };
    step.update('compiling');
    await buildGoTool(context, tool, present);
    return { value: undefined, said: present.version };
  });
}

/**
 * Downloads the distribution's kernel if there is none; with `isRefresh` also if the archive has another. Returns the
 * kernel in use.
 */
export function kernelStep(
  progress: Progress,
  context: SetupContext,
  distro: Distro,
  isRefresh: boolean,
): Promise<Kernel> {
  return inStep(progress, 'kernel', context.signal, async (step) => {
    const used = await findKernel(context.cache);
    if (used && !isRefresh) return { value: used, said: 'up to date' };
    const packaged = (await listKernels(context.cache)).find(({ kind }) => kind !== 'built');
    if (packaged && isRefresh) {
      step.update('fetching package lists');
      await updateLists(context, step.update);
      const candidate = await kernelCandidate(context, distro);
      if (used && candidate && isNewest(packaged, candidate))
        return { value: used, said: `${packaged.release} is the newest${orUsed(used)}` };
    }
    const fetched = await fetchKernel(context, distro, step.update);
    const kernel = (await findKernel(context.cache)) ?? fetched;
    return { value: kernel, said: `${fetched.release}${orUsed(kernel)}` };
  });
}

/** A refresh does not make another of these: that takes minutes. */
function orUsed({ kind, release }: Kernel): string {
  return kind === 'built' ? `; guests boot ${release}` : '';
}

/** Packs kernel and agent into a boot kit. */
export function kitStep(
  progress: Progress,
  context: SetupContext,
  kernel: Kernel,
  agent: GuestAgent,
): Promise<void> {
  return inStep(progress, 'boot kit', context.signal, async () => {
    if (await isKitBuilt(context.cache, kernel, agent)) return { value: undefined, said: 'up to date' };
    await buildKit(context.cache, kernel, agent);
    return { value: undefined };
  });
}
