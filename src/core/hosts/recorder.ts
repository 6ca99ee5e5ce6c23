/**
 * Copies each machine's record from the store to a file beside its disk. Writes in the background after the
 * commit. A crash in between leaves an older record, which the next daemon updates when it starts.
 */
import type { Logger } from '../../lib/log.ts';
import type { EventBus } from '../events/bus.ts';
import type { Machine } from '../machines/machine.ts';
import type { MachineRecords } from '../ports/records.ts';
import type { Store } from '../ports/store.ts';

export interface RecorderDeps {
  readonly store: Store;
  readonly bus: EventBus;
  readonly records: MachineRecords;
  readonly hostId: string;
  readonly log: Logger;
}

export class Recorder {
  readonly #deps: RecorderDeps;
  readonly #stop: () => void;
  /** Machine id → the text written last. Only machines of this host. */
  readonly #written = new Map<string, string>();
  readonly #changed = new Set<string>();
  #writing: Promise<void> = Promise.resolve();

  /** Starts recording changes. */
  constructor(deps: RecorderDeps) {
    this.#deps = deps;
    this.#stop = deps.bus.subscribeAll(({ subject }) => {
      if (subject.kind === 'machine') this.#note(subject.id);
    });
  }

  /** Records every machine of the host. */
  async recordAll(): Promise<void> {
    const { store, hostId } = this.#deps;
    for (const { id } of await store.machines.all(hostId)) this.#note(id);
    await this.#writing;
  }

  /** Waits until all pending records are written. */
  async close(): Promise<void> {
    this.#stop();
    await this.#writing;
  }

  #note(id: string): void {
    if (this.#changed.has(id)) return;
    this.#changed.add(id);
    this.#writing = this.#writing.then(() => {
      this.#changed.delete(id);
      return this.#write(id);
    });
  }

  async #write(id: string): Promise<void> {
    const { store, records, hostId, log } = this.#deps;
    try {
      const machine = await store.machines.get(id);
      if (machine === null || machine.hostId !== hostId) {
        this.#written.delete(id);
        return;
      }
      const record = JSON.stringify(material(machine));
      if (this.#written.get(id) === record) return;
      if (await records.write(machine)) this.#written.set(id, record);
    } catch (error) {
      log.warn({ machine: id, err: error }, 'machine record not written');
    }
  }
}

/** The fields needed to find and rebuild a machine; changes of other fields are not written. */
function material(machine: Machine) {
  const { id, tenant, spec, imageDigest, slot, incarnation, bootId, desired, expiresAt, remainingMs } =
    machine;
  return { id, tenant, spec, imageDigest, slot, incarnation, bootId, desired, expiresAt, remainingMs };
}
