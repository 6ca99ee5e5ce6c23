/**
 * Machines as they were last committed, so that asking for one costs no query. Only for a database that nobody else
 * writes: exact because every write passes here, and forgets what it may have changed before its promise settles.
 */
import type { Machine } from '../core/machines/machine.ts';
import type { MachineRepository } from '../core/ports/store.ts';
import { Lru } from '../lib/lru.ts';

/** A few MiB at most. */
const rememberedMax = 2048;

export class MachineCache {
  readonly #machines = new Lru<string, Machine>(rememberedMax);
  /** Grows with every write; what was read meanwhile may be older than the write. */
  #writes = 0;

  get(id: string): Machine | undefined {
    return this.#machines.get(id);
  }

  /** Reads, and remembers what was read unless something was written meanwhile. */
  async read(query: () => Promise<Machine | null>): Promise<Machine | null> {
    const writesBefore = this.#writes;
    const machine = await query();
    if (machine !== null && writesBefore === this.#writes) this.#machines.set(machine.id, machine);
    return machine;
  }

  forget(ids: Iterable<string>): void {
    this.#writes += 1;
    for (const id of ids) this.#machines.delete(id);
  }

  clear(): void {
    this.#writes += 1;
    this.#machines.clear();
  }
}

/** Tells `note` the id of each machine that may have been written, before the write settles. */
export function notingWrites(repository: MachineRepository, note: (id: string) => void): MachineRepository {
  const noted = async <T>(id: string, write: () => Promise<T>): Promise<T> => {
    try {
      return await write();
    } finally {
      note(id);
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
    ...notingWrites(repository, (id) => cache.forget([id])),
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
