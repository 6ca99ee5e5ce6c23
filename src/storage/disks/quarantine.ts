/**
 * The quarantine: disks of unknown machines, moved to `quarantine/<machine>.<time>/` with everything beside
 * them. An operator can move one back; the others are removed after a while. The name contains the wall-clock
 * time in milliseconds since 1970, for display. How long each was kept while a daemon ran is counted in
 * `quarantine/ages.json`.
 */
import { mkdir, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { hasErrorCode, syncDirectory, writeFileAtomic } from '../../lib/files.ts';
import { removeTree } from '../../lib/remove-tree.ts';
import type { StateLayout } from '../layout.ts';

export interface QuarantinedDisk {
  readonly name: string;
  readonly path: string;
  readonly machineId: string;
  readonly since: Date;
}

const namePattern = /^([a-z0-9]{1,32})\.(\d{1,15})$/;

/** Moves the machine's disk, its record and everything beside it; a missing disk is not an error. */
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

/** Removes only these. */
export async function removeQuarantined(
  layout: StateLayout,
  disks: readonly Pick<QuarantinedDisk, 'path'>[],
): Promise<void> {
  for (const { path } of disks) await removeTree(path);
  if (disks.length > 0) await syncDirectory(layout.quarantine);
}

/**
 * Adds `byMs` to the age of each disk and removes those that have reached `ageMsMax`; returns the removed
 * names. A new one starts at 0. Ages are counted instead of taken from the names, because a wrong clock must
 * not remove anything early.
 */
export async function ageQuarantine(
  layout: StateLayout,
  byMs: number,
  ageMsMax: number,
): Promise<readonly string[]> {
  const found = await listQuarantine(layout);
  if (found.length === 0) return [];
  const before = await readAges(layout);
  const aged = found.map((disk) => {
    const age = before[disk.name];
    return { ...disk, ageMs: age === undefined ? 0 : age + byMs };
  });
  const old = aged.filter(({ ageMs }) => ageMs >= ageMsMax);
  await removeQuarantined(layout, old);
  const ages = Object.fromEntries(aged.map(({ name, ageMs }) => [name, ageMs]));
  for (const { name } of old) delete ages[name];
  await writeFileAtomic(layout.quarantineAges, `${JSON.stringify(ages)}\n`);
  return old.map(({ name }) => name);
}

/** Name → age in milliseconds. Unreadable entries start at 0 again. */
async function readAges(layout: StateLayout): Promise<Readonly<Record<string, number>>> {
  try {
    const parsed: unknown = JSON.parse(await readFile(layout.quarantineAges, 'utf8'));
    const ages = Object.entries(Object(parsed)).filter(([, age]) => Number.isFinite(age) && Number(age) >= 0);
    return Object.fromEntries(ages.map(([name, age]) => [name, Number(age)]));
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT') || error instanceof SyntaxError) return {};
    throw error;
  }
}
