/** What set-up makes in the cache: guest agent, kernel, boot kit, images. */

import { join } from 'node:path';
import { isAppError } from '../../core/errors.ts';
import { exists } from '../../lib/files.ts';
import { ProcessError } from '../../lib/process.ts';
import type { SetupContext } from '../context.ts';
import { type Distro, readDistro } from '../distro.ts';
import { readJson } from '../fingerprint.ts';
import { type GoTool, goTools, inspectGoTool } from '../go-tools.ts';
import { inspectGuestAgent } from '../guest-agent.ts';
import { isBusyboxBuilt } from '../images/busybox.ts';
import { isDebianBuilt } from '../images/debian.ts';
import { isImageBuilt } from '../images/record.ts';
import { type SourcePackage, sourceCandidate } from '../kernel/build/recipe.ts';
import { isNewest, kernelCandidate } from '../kernel/kernel.ts';
import { findKernel, type Kernel } from '../kernel/kernels.ts';
import { isKitBuilt } from '../kit/kit.ts';
import { type BuiltInImage, builtInImages } from '../setup.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

/** `outdated`: whole, and made from other sources or by another recipe than this checkout's. */
export type Making = 'current' | 'outdated' | 'absent';

export interface KernelFacts {
  readonly release: string;
  /** Built on this host, from the distribution's source. */
  readonly isOwn: boolean;
  readonly ageDays: number;
  /** Whether it is what apt would fetch by its present lists; null when the lists or its package are not known. */
  readonly isNewest: boolean | null;
  /** Package and version that apt would fetch; null when the lists are not there. */
  readonly candidate: string | null;
}

interface MadeTool {
  readonly making: Making;
  readonly version: string;
}

export interface ArtifactFacts {
  readonly agent: MadeTool | null;
  readonly shim: MadeTool | null;
  readonly builder: MadeTool | null;
  /** Null when there is none. */
  readonly kernel: KernelFacts | null;
  readonly kit: Making;
  /** A kit was brought into the state directory before, so machines start without the cache. */
  readonly hasKitInState: boolean;
  readonly images: readonly {
    readonly name: string;
    readonly making: Making;
    readonly ageDays: number | null;
  }[];
}

/** Looks at the cache; changes nothing. */
export async function readArtifactFacts(context: SetupContext, stateKit: string): Promise<ArtifactFacts> {
  const { cache } = context;
  const agent = await inspectGuestAgent(context).catch((error: unknown) => {
    if (isAppError(error, 'unsupported')) return null;
    throw error;
  });
  const kernel = await findKernel(cache);
  const isKitCurrent = agent !== null && kernel !== null && (await isKitBuilt(cache, kernel, agent));
  return {
    agent: agent && {
      making: making(agent.isBuilt, await exists(cache.guestAgent)),
      version: agent.version,
    },
    shim: await toolFacts(context, goTools.launchShim),
    builder: await toolFacts(context, goTools.imageBuilder),
    kernel: kernel && (await kernelFacts(context, kernel)),
    kit: making(isKitCurrent, await exists(join(cache.bootKit, 'kit.json'))),
    hasKitInState: await exists(stateKit),
    images: await Promise.all(
      builtInImages.map(async (name) => ({
        name,
        making: making(await isBuilt[name](context), await isImageBuilt(cache, name, null)),
        ageDays: await imageAgeDays(context, name),
      })),
    ),
  };
}

/** Null when its sources are not here. */
async function toolFacts(context: SetupContext, tool: GoTool): Promise<MadeTool | null> {
  const state = await inspectGoTool(context, tool).catch((error: unknown) => {
    if (isAppError(error, 'unsupported')) return null;
    throw error;
  });
  return (
    state && {
      making: making(state.isBuilt, await exists(tool.target(context.cache))),
      version: state.version,
    }
  );
}

/** Judges the facts. Pure. */
export function checkArtifacts(facts: ArtifactFacts): readonly Finding[] {
  const { agent, shim, builder, kernel, kit, hasKitInState, images } = facts;
  return [
    checkTool('guest agent', agent),
    checkTool('launch shim', shim),
    checkTool('image builder', builder),
    kernel === null ? warn('kernel', 'not in the cache', setupHint) : checkKernel(kernel),
    kit === 'absent' && !hasKitInState
      ? fail('boot kit', 'not made, and machines cannot start without it', setupHint)
      : checkMade('boot kit', kit, 'up to date'),
    ...images.map(checkImage),
  ];
}

/** Debian's security updates come more often than once a month. */
const ageDaysMax = 30;
const rebuildHint =
  './flotilla kernel build makes it anew, and ./flotilla kernel use built lets machines boot it.';
const refreshHint = './flotilla setup --refresh replaces it; machines use it from their next start on.';

function checkKernel({ release, isOwn, ageDays, isNewest, candidate }: KernelFacts): Finding {
  const made = `${release}, ${isOwn ? 'built' : 'fetched'} ${ago(ageDays)}`;
  const hint = isOwn ? rebuildHint : refreshHint;
  if (isNewest === true) return ok('kernel', `${made}, the newest by apt’s lists (${candidate})`);
  if (candidate !== null) return warn('kernel', `${made}; apt has ${candidate}`, hint);
  const unknown = `${made}; whether there is a newer one is not known: apt has no lists`;
  return ageDays > ageDaysMax ? warn('kernel', unknown, hint) : ok('kernel', unknown);
}

/** busybox comes from this host's package; the packages in debian-12 are as old as the image. */
function checkImage({ name, making, ageDays }: ArtifactFacts['images'][number]): Finding {
  const subject = `image ${name}`;
  if (making !== 'current' || ageDays === null) return checkMade(subject, making, 'current');
  const made = `made ${ago(ageDays)}`;
  if (name === 'busybox' || ageDays <= ageDaysMax) return ok(subject, `current, ${made}`);
  return warn(subject, `${made}: its packages lack later security updates`, refreshHint);
}

function ago(days: number): string {
  if (days === 0) return 'today';
  return days === 1 ? '1 day ago' : `${days} days ago`;
}

const dayMs = 24 * 60 * 60_000;

async function kernelFacts(context: SetupContext, kernel: Kernel): Promise<KernelFacts> {
  const distro = await readDistro().catch(() => null);
  const isOwn = kernel.kind === 'built';
  const candidate =
    distro && (await (isOwn ? knownSource(context, distro) : kernelCandidate(context, distro)));
  return {
    release: kernel.release,
    isOwn,
    ageDays: Math.floor((Date.now() - kernel.madeAt.getTime()) / dayMs),
    isNewest: candidate && isNewest(kernel, candidate),
    candidate: candidate && `${candidate.packageName} ${candidate.version}`,
  };
}

/** Null when apt knows none. */
async function knownSource(context: SetupContext, distro: Distro): Promise<SourcePackage | null> {
  return sourceCandidate(context, distro).catch((error: unknown) => {
    context.signal.throwIfAborted();
    if (error instanceof ProcessError || isAppError(error, 'unsupported')) return null;
    throw error;
  });
}

async function imageAgeDays({ cache }: SetupContext, name: string): Promise<number | null> {
  const record = await readJson(join(cache.image(name), 'image.json'));
  const made = Date.parse(String(record?.createdAt));
  return Number.isNaN(made) ? null : Math.floor((Date.now() - made) / dayMs);
}

const setupHint = './flotilla setup makes it.';

const isBuilt: Readonly<Record<BuiltInImage, (context: SetupContext) => Promise<boolean>>> = {
  busybox: isBusyboxBuilt,
  'debian-12': isDebianBuilt,
};

function checkMade(subject: string, made: Making, whenCurrent: string): Finding {
  if (made === 'current') return ok(subject, whenCurrent);
  if (made === 'absent') return warn(subject, 'not in the cache', setupHint);
  return warn(subject, 'made from other sources than this checkout’s', './flotilla setup makes it anew.');
}

function checkTool(subject: string, tool: MadeTool | null): Finding {
  return tool === null
    ? warn(subject, 'its sources are not here', 'Run ./flotilla from a whole checkout.')
    : checkMade(subject, tool.making, tool.version);
}

function making(isCurrent: boolean, isThere: boolean): Making {
  return isCurrent ? 'current' : isThere ? 'outdated' : 'absent';
}
