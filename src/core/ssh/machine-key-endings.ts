/**
 * Says when a machine's SSH key no longer lets anyone in: it was taken from the machine, or the machine was deleted. Used by
 * `service.ts`; the gateway then closes the connections that were made with the key.
 */
import type { Logger } from '../../lib/log.ts';
import { AppError } from '../errors.ts';
import type { EventBus } from '../events/bus.ts';
import type { Store } from '../ports/store.ts';
import { fingerprintsOf } from './ssh-key.ts';

export interface MachineKey {
  readonly machineId: string;
  readonly fingerprint: string;
}

interface Watch {
  readonly fingerprint: string;
  readonly listener: (reason: AppError) => void;
}

export class MachineKeyEndings {
  readonly #deps: { readonly store: Store; readonly log: Logger };
  /** By machine. */
  readonly #watches = new Map<string, Set<Watch>>();

  constructor(deps: { readonly store: Store; readonly log: Logger }) {
    this.#deps = deps;
  }

  /** Follows changes of machines, those by other daemons included. */
  follow(bus: Pick<EventBus, 'subscribeAll'>): void {
    bus.subscribeAll(({ type, subject, data }) => {
      const fields = Array.isArray(data.fields) ? data.fields : [];
      const isAffected =
        type === 'machine.deleted' || (type === 'machine.changed' && fields.includes('spec'));
      if (isAffected && this.#watches.has(subject.id)) void this.#check(subject.id);
    });
  }

  /** Calls the listener once when the key has ended. Returns a function that ends the watch. */
  watch({ machineId, fingerprint }: MachineKey, listener: (reason: AppError) => void): () => void {
    const watches = this.#watches.get(machineId) ?? new Set();
    this.#watches.set(machineId, watches);
    const watch = { fingerprint, listener };
    watches.add(watch);
    // It may have ended between the authentication and the watch.
    void this.#check(machineId);
    return () => this.#forget(machineId, watch);
  }

  /** When the store fails, nobody knows whether the keys are still good: then they count as ended. */
  async #check(machineId: string): Promise<void> {
    const keys = await this.#keysOf(machineId);
    for (const watch of [...(this.#watches.get(machineId) ?? [])]) {
      if (keys.includes(watch.fingerprint)) continue;
      this.#forget(machineId, watch);
      watch.listener(new AppError('unauthenticated', 'the SSH key has been taken from the machine'));
    }
  }

  async #keysOf(machineId: string): Promise<readonly string[]> {
    try {
      const machine = await this.#deps.store.machines.get(machineId);
      return fingerprintsOf(machine?.spec.sshKeys ?? []);
    } catch (error) {
      this.#deps.log.error({ machine: machineId, err: error }, 'SSH keys of a machine not read');
      return [];
    }
  }

  #forget(machineId: string, watch: Watch): void {
    const watches = this.#watches.get(machineId);
    watches?.delete(watch);
    if (watches?.size === 0) this.#watches.delete(machineId);
  }
}
