/**
 * Stores machines' saved memory in `disks/<machine>/memory/`, accessible only to the daemon: the engine's files, and
 * `saved.json`, which says what they are. It is complete from the moment at which it has that name; until then it is
 * `memory.new`, and `memory.old` on its way out.
 */
import { link, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { AppError } from '../../core/errors.ts';
import { giveUpHint, type SavedMemories, type SavedMemory } from '../../core/ports/saved-memory.ts';
import { abortable } from '../../lib/abort.ts';
import { hasErrorCode, syncDirectory, writeFileAtomic } from '../../lib/files.ts';
import { KeyedLock } from '../../lib/keyed-lock.ts';
import type { StateLayout } from '../layout.ts';

/** All others are the engine's. */
const ownFile = 'saved.json';

const savedSchema = z.object({
  incarnation: z.string(),
  operationId: z.string(),
  savedAt: z.string(),
  machineId: z.string().optional(),
});

export class SavedMemoryFiles implements SavedMemories {
  readonly #layout: StateLayout;
  /** A call that was aborted may still work; the next one of the same machine must meet its result. */
  readonly #lock = new KeyedLock();

  constructor(layout: StateLayout) {
    this.#layout = layout;
  }

  begin(machineId: string, signal: AbortSignal): Promise<string> {
    return this.#inTurn(machineId, () => this.#begin(machineId), signal);
  }

  beginFrom(machineId: string, directory: string, signal: AbortSignal): Promise<void> {
    const work = async () => linkFiles(directory, await this.#begin(machineId));
    return this.#inTurn(machineId, work, signal);
  }

  shareWith(machineId: string, directory: string, signal: AbortSignal): Promise<void> {
    return this.#inTurn(machineId, () => linkFiles(this.locate(machineId), directory), signal);
  }

  publish(machineId: string, saved: SavedMemory, signal: AbortSignal): Promise<void> {
    return this.#inTurn(machineId, () => this.#publish(machineId, saved), signal);
  }

  find(machineId: string, signal: AbortSignal): Promise<SavedMemory | null> {
    return this.#inTurn(machineId, () => this.#find(machineId), signal);
  }

  locate(machineId: string): string {
    return this.#layout.savedMemory(machineId);
  }

  discard(machineId: string, signal: AbortSignal): Promise<void> {
    return this.#inTurn(machineId, () => this.#discard(machineId), signal);
  }

  #inTurn<T>(machineId: string, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    return abortable(this.#lock.run(machineId, work), signal);
  }

  async #begin(machineId: string): Promise<string> {
    const directory = newOf(this.locate(machineId));
    await remove(directory);
    await mkdir(directory, { mode: 0o700 });
    return directory;
  }

  async #publish(machineId: string, saved: SavedMemory): Promise<void> {
    const directory = this.locate(machineId);
    await this.#retire(machineId);
    await writeFileAtomic(join(newOf(directory), ownFile), `${JSON.stringify(saved)}\n`);
    await rename(newOf(directory), directory);
    await syncDirectory(this.#layout.diskDir(machineId));
  }

  async #find(machineId: string): Promise<SavedMemory | null> {
    try {
      const text = await readFile(join(this.locate(machineId), ownFile), 'utf8');
      return savedSchema.parse(JSON.parse(text));
    } catch (error) {
      if (hasErrorCode(error, 'ENOENT')) return null;
      throw new AppError('conflict', `the saved memory of machine ${machineId} is damaged`, {
        cause: error,
        hint: giveUpHint,
      });
    }
  }

  async #discard(machineId: string): Promise<void> {
    await this.#retire(machineId);
    const directory = this.locate(machineId);
    await remove(newOf(directory));
    await remove(oldOf(directory));
  }

  /** Takes the name away first: a removal in part must not look complete. */
  async #retire(machineId: string): Promise<void> {
    const directory = this.locate(machineId);
    await remove(oldOf(directory));
    try {
      await rename(directory, oldOf(directory));
    } catch (error) {
      if (hasErrorCode(error, 'ENOENT')) return;
      throw error;
    }
    await syncDirectory(this.#layout.diskDir(machineId));
  }
}

async function linkFiles(from: string, to: string): Promise<void> {
  for (const name of await readdir(from)) if (name !== ownFile) await link(join(from, name), join(to, name));
}

function remove(directory: string): Promise<void> {
  return rm(directory, { recursive: true, force: true });
}

function newOf(directory: string): string {
  return `${directory}.new`;
}

function oldOf(directory: string): string {
  return `${directory}.old`;
}
