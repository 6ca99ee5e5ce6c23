/** The id of this host: made with the state directory, and kept in it. */
import { readFile } from 'node:fs/promises';
import type { Clock } from '../core/ports/clock.ts';
import { writeFileAtomic } from '../lib/files.ts';
import { shortId } from '../lib/ids.ts';
import { invariant } from '../lib/invariant.ts';
import type { Logger } from '../lib/log.ts';
import type { StateLayout } from '../storage/layout.ts';

/** A full disk is not waited for by anybody. */
const noteAgainMs = 10_000;

/** Null before a daemon first ran on the state directory. */
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

/** The epoch of the last daemon that claimed the host here; null when none noted it. */
export async function readHostEpoch(layout: StateLayout): Promise<number | null> {
  const text = await read(layout.hostEpochFile);
  if (text === null) return null;
  invariant(/^[0-9]{1,15}$/.test(text), `${layout.hostEpochFile} holds no number`);
  return Number(text);
}

/**
 * Notes the epoch after the claim: a database that counts less than this is an older copy. What cannot be noted, as on a full disk, is
 * tried again until it is, and keeps no daemon from serving. Returns what ends the trying.
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
    log.warn({ epoch, err: error }, 'the count of daemons could not be noted; it is tried again');
  }
  const stop = clock.every(noteAgainMs, async () => {
    // That it fails was said.
    const isNoted = await note().then(
      () => true,
      () => false,
    );
    if (!isNoted) return;
    log.info({ epoch }, 'the count of daemons is noted');
    stop();
  });
  return stop;
}

/**
 * The boot during which a daemon of an earlier version last started here; machines it started do not say theirs. Null
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
