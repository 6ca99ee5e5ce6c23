/**
 * What a kernel is built from: Debian's source package, and the fragment and the patch in `guest-kernel/` of the
 * checkout. Their hash is part of the kernel's release, so each kernel has a name and a directory of its own.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../../core/errors.ts';
import { hasErrorCode } from '../../../lib/files.ts';
import { candidateVersion, packageDepends } from '../../apt.ts';
import type { SetupContext } from '../../context.ts';
import type { Distro } from '../../distro.ts';
import { valueHash } from '../../fingerprint.ts';
import { parseFragment } from './config.ts';

/** Increment when a kernel of the same inputs would be built otherwise. */
const recipe = 1;
/** Of the hash in the release; `uname -r` holds 64 characters. */
const hashCharacters = 8;

export interface SourcePackage {
  readonly packageName: string;
  readonly version: string;
}

export interface KernelRecipe {
  readonly source: SourcePackage;
  readonly fragment: string;
  readonly patch: string;
  readonly inputsHash: string;
  /** What the build appends to Linux's version. */
  readonly localVersion: string;
}

/** Reads the checkout's inputs. Raises `unsupported` without them, `invalid` for a damaged fragment. */
export async function readRecipe({ sourceRoot }: SetupContext, source: SourcePackage): Promise<KernelRecipe> {
  const [fragment, patch] = await Promise.all(
    ['flotilla.config', 'lapic-timer-khz.patch'].map((name) =>
      readFile(join(sourceRoot, 'guest-kernel', name), 'utf8').catch((error: unknown) => {
        if (!hasErrorCode(error, 'ENOENT')) throw error;
        throw new AppError('unsupported', `${sourceRoot} does not hold the guest kernel's ${name}`, {
          cause: error,
          hint: 'Run ./flotilla from a whole checkout.',
        });
      }),
    ),
  );
  if (fragment === undefined || patch === undefined) throw new AppError('internal', 'an input was not read');
  parseFragment(fragment);
  const inputsHash = valueHash({ recipe, source, fragment, patch });
  const localVersion = `-flotilla-${inputsHash.slice(0, hashCharacters)}`;
  return { source, fragment, patch, inputsHash, localVersion };
}

/**
 * The newest source of Linux by apt's present lists. Raises `unsupported` on a host that is not Debian's, whose source
 * packages are packed otherwise, and where apt knows none.
 */
export async function sourceCandidate(context: SetupContext, distro: Distro): Promise<SourcePackage> {
  if (distro.family !== 'debian') {
    throw new AppError(
      'unsupported',
      `kernels are built from Debian's source package; this is ${distro.title}`,
      {
        hint: 'Build it on a Debian 12 machine, and copy its kernel directory from the cache there to the cache here.',
      },
    );
  }
  const packageName = (await packageDepends(context, 'linux-source')).find((name) =>
    /^linux-source-\d/.test(name),
  );
  const version = packageName && (await candidateVersion(context, packageName));
  if (packageName && version) return { packageName, version };
  throw new AppError('unsupported', 'apt knows no source of Linux', {
    hint: 'Enable the main archive in /etc/apt/sources.list, run apt-get update, then this command again.',
  });
}
