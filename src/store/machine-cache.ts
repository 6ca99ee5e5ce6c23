/**
 * Caches machines as last committed, so that reading one costs no query. Only for a database that no other
 * process writes. Exact, because every write passes here and evicts what it may have changed before its
 * promise settles.
 */
import { CommitUnknownError } from '../core/errors.ts';
import type { Machine } from '../core/machines/machine.ts';
import type { MachineRepository } from '../core/ports/store.ts';
import { Lru } from '../lib/lru.ts';

/** A few MiB at most. */
const rememberedMax = 2048;

export class MachineCache {
  readonly #machines = new Lru<string, Machine>(rememberedMax);
  /** Incremented by every write; a read that began before a write may be outdated. */
  #writes = 0;
  /** Set while a given-up write may still be committed; reads until then may be outdated. */
  #isDoubtful = false;

  get(id: string): Machine | undefined {
    return this.#machines.get(id);
  }

  /** Runs the query, and caches its result unless a write happened meanwhile or may still happen. */
  async read(query: () => Promise<Machine | null>): Promise<Machine | null> {
    const writesBefore = this.#writes;
    const machine = await query();
    const isCertain = writesBefore === this.#writes && !this.#isDoubtful;
    if (machine !== null && isCertain) this.#machines.set(machine.id, machine);
    return machine;
  }

  /**
   * Evicts what a write may have changed; `error` is the write's error. The next successful write clears the
   * doubt, because it has held the lock.
   */
  forget(ids: Iterable<string>, error: unknown = null): void {
    this.#writes += 1;
    if (error === null) this.#isDoubtful = false;
    else if (error instanceof CommitUnknownError) this.#isDoubtful = true;
    for (const id of ids) this.#machines.delete(id);
  }
}

/**
 * Calls `note` with the ids of machines that may have been written, and the write's error, before the write
 * settles.
 */
export function notingWrites(
  repository: MachineRepository,
  note: (id: string, error: unknown) => void,
): MachineRepository {
  const noted = async <T>(id: string, write: () => Promise<T>): Promise<T> => {
    try {
      const result = await write();
      note(id, null);
      return result;
    } catch (error) {
      note(id, error);
      throw error;
    }
  };
  return {
    ...repository,
    insert: (machine) => noted(machine.id, () => repository.insert(machine)),
    compareAndSet: (change) => noted(change.id, () => repository.compareAndSet(change)),
    patch: (id, ...rest) => noted(id, () => repository.patch(id, ...rest)),
    noteIdleAt: (id, ...rest) => noted(id, () => repository.noteIdleAt(id, ...rest)),
    remove: (id, at) => noted(id, () => repository.remove(id, at)),
  };
}

/**
 * The repository outside transactions, answered from the cache where possible; every use runs `check` first.
 */
export function cachedMachines(
  repository: MachineRepository,
  cache: MachineCache,
  check: () => void,
): MachineRepository {
  return {
    ...notingWrites(repository, (id, error) => cache.forget([id], error)),
    get: async (id) => {
      check();
      return cache.get(id) ?? cache.read(() => repository.get(id));
    },
    find: async (tenant, idOrName) => {
      check();
      const known = cache.get(idOrName);
      return known?.tenant === tenant ? known : cache.read(() => repository.find(tenant, idOrName));
    },
  };
}
