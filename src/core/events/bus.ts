/** Facts about machines, told after they are committed, to whoever in this process waits for them. */
import type { Logger } from '../../lib/log.ts';

export interface MachineChange {
  readonly machineId: string;
}

export type ChangeListener = (change: MachineChange) => void;

/** Listeners are called in order, synchronously, and must not throw; one that does is logged and the rest still hear. */
export class ChangeBus {
  readonly #log: Logger;
  readonly #listeners = new Map<string, Set<ChangeListener>>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Returns the function that ends the subscription. */
  subscribe(machineId: string, listener: ChangeListener): () => void {
    const listeners = this.#listeners.get(machineId) ?? new Set();
    this.#listeners.set(machineId, listeners);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#listeners.delete(machineId);
    };
  }

  publish(change: MachineChange): void {
    for (const listener of [...(this.#listeners.get(change.machineId) ?? [])]) {
      try {
        listener(change);
      } catch (error) {
        this.#log.error({ machine: change.machineId, err: error }, 'change listener threw');
      }
    }
  }
}
