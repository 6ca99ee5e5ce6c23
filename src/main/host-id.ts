/** The id of this host: made with the state directory, and kept in it. */
import { readFile } from 'node:fs/promises';
import { writeFileAtomic } from '../lib/files.ts';
import { shortId } from '../lib/ids.ts';
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
