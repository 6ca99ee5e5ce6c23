/**
 * Machines as they were last committed, so that asking for one costs no query. Only for a database that nobody else
 * writes: exact because every write passes here, and forgets what it may have changed before its promise settles.
 */
import { CommitUnknownError } from '../core/errors.ts';
import type { Machine } from '../core/machines/machine.ts';
import type { MachineRepository } from '../core/ports/store.ts';
import { Lru } from '../lib/lru.ts';

/** A few MiB at most. */
const rememberedMax = 2048;

export class MachineCache {
  readonly #machines = new Lru<string, Machine>(rememberedMax);
  /** Grows with every write; what was read meanwhile may be older than the write. */
  #writes = 0;
  /** A commit may still come of a write that was given up: what is read until then may be older. */
  #isDoubtful = false;

  get(id: string): Machine | undefined {
    return this.#machines.get(id);
  }

  /** Reads, and remembers what was read unless something was, or may yet be, written meanwhile. */
  async read(query: () => Promise<Machine | null>): Promise<Machine | null> {
    const writesBefore = this.#writes;
    const machine = await query();
    const isCertain = writesBefore === this.#writes && !this.#isDoubtful;
    if (machine !== null && isCertain) this.#machines.set(machine.id, machine);
    return machine;
  }

  /** What a write may have changed; `error` is what it raised. The next write that succeeds has held the lock. */
  forget(ids: Iterable<string>, error: unknown = null): void {
    this.#writes += 1;
    if (error === null) this.#isDoubtful = false;
    else if (error instanceof CommitUnknownError) this.#isDoubtful = true;
    for (const id of ids) this.#machines.delete(id);
  }
}

/** Tells `note` the id of each machine that may have been written, and the write's error, before the write settles. */
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
    remove: (id, at) => noted(id, () => repository.remove(id, at)),
  };
}

/** The repository outside transactions, answered from the cache where it can be; `check` is raised by every use. */
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
