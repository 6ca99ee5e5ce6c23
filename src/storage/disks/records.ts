/** A machine's record as a file beside its disk: `disks/<machine>/machine.json`, the daemon's alone. */
import { readdir, readFile, stat } from 'node:fs/promises';
import type { Machine } from '../../core/machines/machine.ts';
import type { FoundRecord, MachineRecords } from '../../core/ports/records.ts';
import { hasErrorCode, writeFileAtomic } from '../../lib/files.ts';
import { isMachineId, type StateLayout } from '../layout.ts';

/** Of the form of the file; the machine in it is in the form of the program that wrote it. */
const version = 1;

export class RecordFiles implements MachineRecords {
  readonly #layout: StateLayout;

  constructor(layout: StateLayout) {
    this.#layout = layout;
  }

  async write(machine: Machine): Promise<boolean> {
    try {
      // A directory without a disk is being made or removed.
      await stat(this.#layout.disk(machine.id));
      const text = JSON.stringify({ version, machine }, null, 2);
      await writeFileAtomic(this.#layout.machineRecord(machine.id), `${text}\n`, 0o600);
      return true;
    } catch (error) {
      if (hasErrorCode(error, 'ENOENT')) return false;
      throw error;
    }
  }

  async list(): Promise<readonly FoundRecord[]> {
    const names = await readdir(this.#layout.disks).catch((error: unknown) => {
      if (hasErrorCode(error, 'ENOENT')) return [];
      throw error;
    });
    const found: FoundRecord[] = [];
    for (const machineId of names.filter(isMachineId)) {
      const record = await this.read(machineId);
      if (record !== null) found.push(record);
    }
    return found;
  }

  async read(machineId: string): Promise<FoundRecord | null> {
    if (!(await exists(this.#layout.disk(machineId)))) return null;
    try {
      const parsed: unknown = JSON.parse(await readFile(this.#layout.machineRecord(machineId), 'utf8'));
      const { version: found, machine = null } = Object(parsed) as Partial<Record<string, unknown>>;
      return { machineId, hasRecord: true, machine: found === version ? machine : null };
    } catch (error) {
      // One that is there and cannot be read, for whatever reason, still tells that the disk is somebody's.
      return { machineId, hasRecord: !hasErrorCode(error, 'ENOENT'), machine: null };
    }
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT') || hasErrorCode(error, 'ENOTDIR')) return false;
    throw error;
  }
}
