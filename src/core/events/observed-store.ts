/** A store that tells the bus which machines a transaction changed, once the transaction is durable. */
import type { MachineRepository, Repositories, Store } from '../ports/store.ts';
import type { ChangeBus } from './bus.ts';

export function observeStore(store: Store, bus: ChangeBus): Store {
  const publish = (ids: ReadonlySet<string>) => {
    for (const machineId of ids) bus.publish({ machineId });
  };
  return {
    operations: store.operations,
    keys: store.keys,
    machines: observeMachines(store.machines, (id) => bus.publish({ machineId: id })),
    async transaction<T>(work: (tx: Repositories) => Promise<T>): Promise<T> {
      const changed = new Set<string>();
      const result = await store.transaction((tx) =>
        work({ ...tx, machines: observeMachines(tx.machines, (id) => changed.add(id)) }),
      );
      publish(changed);
      return result;
    },
    close: () => store.close(),
  };
}

function observeMachines(machines: MachineRepository, note: (id: string) => void): MachineRepository {
  return {
    get: (id) => machines.get(id),
    find: (tenant, idOrName) => machines.find(tenant, idOrName),
    list: (filter) => machines.list(filter),
    all: () => machines.all(),
    async insert(machine) {
      const inserted = await machines.insert(machine);
      note(inserted.id);
      return inserted;
    },
    async compareAndSet(change) {
      const isDone = await machines.compareAndSet(change);
      if (isDone) note(change.id);
      return isDone;
    },
    async patch(id, incarnation, details, at) {
      const isDone = await machines.patch(id, incarnation, details, at);
      if (isDone) note(id);
      return isDone;
    },
    async remove(id) {
      await machines.remove(id);
      note(id);
    },
  };
}
