/**
 * Imports a file from the cache into the state directory: as a hard link if both are on one file system, else
 * as a sparse copy. Its digest is checked, so a blob's name always matches its content.
 */
import { chmod, link, rm } from 'node:fs/promises';
import { AppError } from '../../core/errors.ts';
import { fileDigest } from '../../lib/digest.ts';
import { isOutOfSpace, syncFile } from '../../lib/files.ts';
import { ProcessError, run } from '../../lib/process.ts';

const copyMs = 10 * 60_000;
// EXDEV: another file system · EPERM: no hard links, or not to another user's file · EMLINK: too many.
const unlinkable = ['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP'];

/**
 * Makes `target`, which must not exist, with the content of `digest`: readable for everyone, read-only, and
 * synced. Raises `unavailable` when the source has another content, `exhausted` when the disk is full, and
 * the signal's reason.
 */
export async function importFile(
  source: string,
  target: string,
  digest: string,
  signal?: AbortSignal,
): Promise<void> {
  try {
    await linkOrCopy(source, target, signal);
    await chmod(target, 0o444);
    const actual = await fileDigest(target, signal);
    if (actual !== digest) {
      throw new AppError('unavailable', `${source} is not what its record says`, {
        hint: 'Remove its directory from the cache and run ./flotilla setup.',
        details: { expected: digest, actual },
      });
    }
    await syncFile(target);
  } catch (error) {
    await rm(target, { force: true });
    throw explained(error);
  }
}

/** Translates the error of a full disk; returns others unchanged. */
export function explained(error: unknown): unknown {
  const saysNoSpace =
    error instanceof ProcessError && /No space left|Disk quota exceeded/i.test(error.stderr);
  if (!saysNoSpace && !isOutOfSpace(error)) return error;
  return new AppError('exhausted', 'no space left for images', {
    cause: error,
    hint: 'Free some space in the state directory, or delete machines.',
  });
}

async function linkOrCopy(source: string, target: string, signal?: AbortSignal): Promise<void> {
  try {
    await link(source, target);
  } catch (error) {
    if (!unlinkable.includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    await copySparse(source, target, signal);
  }
}

/** Copies a file and keeps its holes. */
export async function copySparse(source: string, target: string, signal?: AbortSignal): Promise<void> {
  // English, because its message is parsed to recognise a full disk.
  const env = { LC_ALL: 'C' };
  await run('cp', ['--sparse=always', '--reflink=auto', '--', source, target], {
    ...{ timeoutMs: copyMs, env, isBoundToUs: true },
    ...(signal === undefined ? {} : { signal }),
  });
}
