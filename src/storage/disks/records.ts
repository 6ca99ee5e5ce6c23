/**
 * Stores a machine's record as a file beside its disk: `disks/<machine>/machine.json`, accessible only to the
 * daemon.
 */
import { readdir, readFile } from 'node:fs/promises';
import type { Machine } from '../../core/machines/machine.ts';
import { type FoundRecord, type MachineRecords, revisionOf } from '../../core/ports/records.ts';
import { ensureDirectory, exists, hasErrorCode, syncDirectory, writeFileAtomic } from '../../lib/files.ts';
import { KeyedLock } from '../../lib/keyed-lock.ts';
import { diskDirectoryMode, isResourceId, type StateLayout } from '../layout.ts';

/** Version of the file's form; the machine in it has the form of the program that wrote it. */
const version = 1;

export class RecordFiles implements MachineRecords {
  readonly #layout: StateLayout;
  readonly #lock = new KeyedLock();

  constructor(layout: StateLayout) {
    this.#layout = layout;
  }

  async begin(machine: Machine): Promise<void> {
    await ensureDirectory(this.#layout.disks, diskDirectoryMode);
    await ensureDirectory(this.#layout.diskDir(machine.id), diskDirectoryMode);
    await this.#replace(machine);
    await syncDirectory(this.#layout.disks);
  }

  async write(machine: Machine): Promise<boolean> {
    // A directory without a disk is being made or removed.
    if (!(await exists(this.#layout.disk(machine.id)))) return false;
    try {
      await this.#replace(machine);
      return true;
    } catch (error) {
      if (hasErrorCode(error, 'ENOENT')) return false;
      throw error;
    }
  }

  /** One at a time, so that of two writers the newer record wins. */
  #replace(machine: Machine): Promise<void> {
    return this.#lock.run(machine.id, async () => {
      const path = this.#layout.machineRecord(machine.id);
      if ((revisionOf(await this.#readMachine(path)) ?? 0) > machine.revision) return;
      await writeFileAtomic(path, `${JSON.stringify({ version, machine }, null, 2)}\n`, 0o600);
    });
  }

  async list(): Promise<readonly FoundRecord[]> {
    const names = await readdir(this.#layout.disks).catch((error: unknown) => {
      if (hasErrorCode(error, 'ENOENT')) return [];
      throw error;
    });
    const found: FoundRecord[] = [];
    for (const machineId of names.filter(isResourceId)) {
      const record = await this.read(machineId);
      if (record !== null) found.push(record);
    }
    return found;
  }

  async read(machineId: string): Promise<FoundRecord | null> {
    if (!(await exists(this.#layout.disk(machineId)))) return null;
    const machine = await this.#readMachine(this.#layout.machineRecord(machineId));
    // An existing but unreadable record still shows that the disk belongs to a machine.
    return { machineId, hasRecord: machine !== undefined, machine: machine ?? null };
  }

  /** Null when it cannot be read, undefined when it does not exist. */
  async #readMachine(path: string): Promise<unknown> {
    try {
      const parsed: unknown = JSON.parse(await readFile(path, 'utf8'));
      const { version: found, machine = null } = Object(parsed) as Partial<Record<string, unknown>>;
      return found === version ? machine : null;
    } catch (error) {
      return hasErrorCode(error, 'ENOENT') ? undefined : null;
    }
  }
}
