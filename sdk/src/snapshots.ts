/** Snapshots: disks and memory of machines at one moment. Ids and names are interchangeable. */
import { call, type QueryOf } from './call.ts';
import { deadlinesMs } from './deadlines.ts';
import type { CallOptions, Transport } from './transport.ts';
import type { CreateSnapshot, Machine, RestoreSnapshot, Snapshot, SnapshotList } from './types.ts';

export class Snapshots {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Of a machine, by its id or name; with its memory if it is up. Resolves when the snapshot is complete. */
  create(machine: string, snapshot: CreateSnapshot = {}, options?: CallOptions): Promise<Snapshot> {
    const given = { path: { id: machine }, body: snapshot };
    return call(this.#transport, 'createSnapshot', given, deadlinesMs.snapshot, options);
  }

  /** Returns one page, newest first; `machine` limits it to those of one machine. */
  list(query: QueryOf<'listSnapshots'> = {}, options?: CallOptions): Promise<SnapshotList> {
    return call(this.#transport, 'listSnapshots', { query }, deadlinesMs.read, options);
  }

  get(id: string, options?: CallOptions): Promise<Snapshot> {
    return call(this.#transport, 'getSnapshot', { path: { id } }, deadlinesMs.read, options);
  }

  /** Machines made from it stay as they are. */
  delete(id: string, options?: CallOptions): Promise<void> {
    return call(this.#transport, 'deleteSnapshot', { path: { id } }, deadlinesMs.delete, options);
  }

  /** Sets the machine that it was taken of back to it, whose present state is lost; a snapshot with memory makes it run. */
  restore(id: string, restore: RestoreSnapshot = {}, options?: CallOptions): Promise<Machine> {
    const given = { path: { id }, body: restore };
    return call(this.#transport, 'restoreSnapshot', given, deadlinesMs.snapshot, options);
  }
}
