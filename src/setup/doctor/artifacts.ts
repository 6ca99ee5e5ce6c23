/** What set-up makes in the cache: guest agent, kernel, boot kit, images. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isAppError } from '../../core/errors.ts';
import type { SetupContext } from '../context.ts';
import { inspectGuestAgent } from '../guest-agent.ts';
import { isBusyboxBuilt } from '../images/busybox.ts';
import { isDebianBuilt } from '../images/debian.ts';
import { isImageBuilt } from '../images/record.ts';
import { findKernel } from '../kernel/kernel.ts';
import { isKitBuilt } from '../kit/kit.ts';
import { inspectLaunchShim } from '../launch-shim.ts';
import { type BuiltInImage, builtInImages } from '../setup.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

/** `outdated`: whole, and made from other sources or by another recipe than this checkout's. */
export type Making = 'current' | 'outdated' | 'absent';

export interface ArtifactFacts {
  readonly agent: { readonly making: Making; readonly version: string } | null;
  readonly shim: { readonly making: Making; readonly version: string } | null;
  /** Its release; null when there is none. */
  readonly kernel: string | null;
  readonly kit: Making;
  /** A kit was brought into the state directory before, so machines start without the cache. */
  readonly hasKitInState: boolean;
  readonly images: readonly { readonly name: string; readonly making: Making }[];
}

/** Looks at the cache; changes nothing. */
export async function readArtifactFacts(context: SetupContext, stateKit: string): Promise<ArtifactFacts> {
  const { cache } = context;
  const agent = await inspectGuestAgent(context).catch((error: unknown) => {
    if (isAppError(error, 'unsupported')) return null;
    throw error;
  });
  const shim = await inspectLaunchShim(context).catch((error: unknown) => {
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
    shim: shim && { making: making(shim.isBuilt, await exists(cache.launchShim)), version: shim.version },
    kernel: kernel?.release ?? null,
    kit: making(isKitCurrent, await exists(join(cache.bootKit, 'kit.json'))),
    hasKitInState: await exists(stateKit),
    images: await Promise.all(
      builtInImages.map(async (name) => ({
        name,
        making: making(await isBuilt[name](context), await isImageBuilt(cache, name, null)),
      })),
    ),
  };
}

/** Judges the facts. Pure. */
export function checkArtifacts(facts: ArtifactFacts): readonly Finding[] {
  const { agent, shim, kernel, kit, hasKitInState, images } = facts;
  return [
    agent === null
      ? warn('guest agent', 'its sources are not here', 'Run ./flotilla from a whole checkout.')
      : checkMade('guest agent', agent.making, agent.version),
    shim === null
      ? warn('launch shim', 'its sources are not here', 'Run ./flotilla from a whole checkout.')
      : checkMade('launch shim', shim.making, shim.version),
    kernel === null ? warn('kernel', 'not in the cache', setupHint) : ok('kernel', kernel),
    kit === 'absent' && !hasKitInState
      ? fail('boot kit', 'not made, and machines cannot start without it', setupHint)
      : checkMade('boot kit', kit, 'current'),
    ...images.map(({ name, making }) => checkMade(`image ${name}`, making, 'current')),
  ];
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

function making(isCurrent: boolean, isThere: boolean): Making {
  return isCurrent ? 'current' : isThere ? 'outdated' : 'absent';
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
