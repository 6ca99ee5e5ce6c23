/**
 * Disks of machines that nobody knows: `quarantine/<machine>.<time>/`, moved there whole. Whoever knows better than the
 * database can move one back; what nobody wants goes after a while. The time is in the name, in milliseconds since 1970.
 */
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hasErrorCode, syncDirectory } from '../../lib/files.ts';
import type { StateLayout } from '../layout.ts';

export interface QuarantinedDisk {
  readonly name: string;
  readonly path: string;
  readonly machineId: string;
  readonly since: Date;
}

const namePattern = /^([a-z0-9]{1,32})\.(\d{1,15})$/;

/** Moves the machine's disk, its record and what else is beside it; moving nothing succeeds. */
export async function quarantineDisk(layout: StateLayout, machineId: string, now: Date): Promise<void> {
  await mkdir(layout.quarantine, { recursive: true, mode: 0o700 });
  const target = join(layout.quarantine, `${machineId}.${now.getTime()}`);
  try {
    await rename(layout.diskDir(machineId), target);
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) return;
    throw error;
  }
  await syncDirectory(layout.quarantine);
  await syncDirectory(layout.disks);
}

/** Oldest first. */
export async function listQuarantine(layout: StateLayout): Promise<readonly QuarantinedDisk[]> {
  const names = await readdir(layout.quarantine).catch((error: unknown) => {
    if (hasErrorCode(error, 'ENOENT')) return [];
    throw error;
  });
  return names
    .flatMap((name) => {
      const [, machineId, ms] = namePattern.exec(name) ?? [];
      if (machineId === undefined) return [];
      return [{ name, path: join(layout.quarantine, name), machineId, since: new Date(Number(ms)) }];
    })
    .sort((a, b) => a.since.getTime() - b.since.getTime());
}

/** Removes what came until the moment; the names of what went. */
export async function emptyQuarantine(layout: StateLayout, until: Date): Promise<readonly string[]> {
  const old = (await listQuarantine(layout)).filter(({ since }) => since <= until);
  for (const { path } of old) await rm(path, { recursive: true, force: true });
  if (old.length > 0) await syncDirectory(layout.quarantine);
  return old.map(({ name }) => name);
}
