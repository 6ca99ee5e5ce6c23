/** The id of this host: made with the state directory, and kept in it. */
import { readFile } from 'node:fs/promises';
import type { Clock } from '../core/ports/clock.ts';
import { writeFileAtomic } from '../lib/files.ts';
import { shortId } from '../lib/ids.ts';
import { invariant } from '../lib/invariant.ts';
import type { Logger } from '../lib/log.ts';
import type { StateLayout } from '../storage/layout.ts';

/** Retry interval when the disk is full. */
const noteAgainMs = 10_000;

/** Null before the first daemon has run on the state directory. */
export async function readHostId(layout: StateLayout): Promise<string | null> {
  return read(layout.hostIdFile);
}

export async function loadHostId(layout: StateLayout): Promise<string> {
  const known = await readHostId(layout);
  if (known !== null) return known;
  const made = shortId();
  await writeFileAtomic(layout.hostIdFile, `${made}\n`, 0o644);
  return made;
}

/** The epoch of the last daemon that claimed the host; null when none was recorded. */
export async function readHostEpoch(layout: StateLayout): Promise<number | null> {
  const text = await read(layout.hostEpochFile);
  if (text === null) return null;
  invariant(/^[0-9]{1,15}$/.test(text), `${layout.hostEpochFile} holds no number`);
  return Number(text);
}

/**
 * Records the epoch after the claim: a database with a lower epoch is an older copy. If that fails, for
 * example on a full disk, it is retried in the background, and the daemon serves nevertheless. Returns a
 * function that stops the retries.
 */
export async function noteHostEpoch(
  layout: StateLayout,
  epoch: number,
  { clock, log }: { readonly clock: Clock; readonly log: Pick<Logger, 'warn' | 'info'> },
): Promise<() => void> {
  const note = () => writeFileAtomic(layout.hostEpochFile, `${epoch}\n`, 0o644);
  try {
    await note();
    return () => undefined;
  } catch (error) {
    log.warn({ epoch, err: error }, 'epoch not recorded; retrying');
  }
  const stop = clock.every(noteAgainMs, async () => {
    // The failure was logged.
    const isNoted = await note().then(
      () => true,
      () => false,
    );
    if (!isNoted) return;
    log.info({ epoch }, 'epoch recorded');
    stop();
  });
  return stop;
}

/**
 * The host boot in which a daemon of an earlier version last started; its machines do not record theirs. Null
 * when there was none.
 */
export function readBootIdBefore(layout: StateLayout): Promise<string | null> {
  return read(layout.bootIdFile);
}

async function read(path: string): Promise<string | null> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
