/** The id of this host: made with the state directory, and kept in it. */
import { readFile } from 'node:fs/promises';
import { writeFileAtomic } from '../lib/files.ts';
import { shortId } from '../lib/ids.ts';
import { invariant } from '../lib/invariant.ts';
import type { StateLayout } from '../storage/layout.ts';

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

/** After the claim: a database that counts less than this is an older copy. */
export async function noteHostEpoch(layout: StateLayout, epoch: number): Promise<void> {
  await writeFileAtomic(layout.hostEpochFile, `${epoch}\n`, 0o644);
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
