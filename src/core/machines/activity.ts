/**
 * Who uses which machine at the moment, and when each was used last. Everything that reaches into a guest for somebody
 * registers here: the proxy, SSH, commands, terminals, files and connections. The idle policy (`idle-keeper.ts`) asks.
 *
 * Nothing is lost between a machine's rest and a request that arrives at that moment. A user registers first and reads
 * the machine's state afterwards, when `rested` has resolved. The idle policy marks the machine first and looks for
 * users afterwards. So one of the two sees the other.
 */
import type { Clock } from '../ports/clock.ts';

interface Use {
  holds: number;
  /** By the monotonic clock. */
  lastMs: number;
  /** When the store learned of a use; see `unnoted`. */
  notedMs: number;
}

export class Activity {
  readonly #clock: Pick<Clock, 'elapsedMs'>;
  readonly #uses = new Map<string, Use>();
  readonly #resting = new Map<string, Promise<void>>();

  constructor(clock: Pick<Clock, 'elapsedMs'>) {
    this.#clock = clock;
  }

  /** The machine is used from now until the returned function is called; calling that twice is safe. */
  hold(machineId: string): () => void {
    const use = this.#touch(machineId);
    use.holds += 1;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      use.holds -= 1;
      use.lastMs = this.#clock.elapsedMs();
    };
  }

  /** The machine is used at this moment. */
  touch(machineId: string): void {
    this.#touch(machineId);
  }

  /** Milliseconds since it was used; 0 while it is held; null when this daemon has not seen it used. */
  unusedMs(machineId: string): number | null {
    const use = this.#uses.get(machineId);
    if (use === undefined) return null;
    return use.holds > 0 ? 0 : this.#clock.elapsedMs() - use.lastMs;
  }

  /**
   * Resolves when the rest has begun or been given up that the idle policy prepares at the moment, and never rejects; null
   * when it prepares none.
   */
  resting(machineId: string): Promise<void> | null {
    return this.#resting.get(machineId) ?? null;
  }

  /** Marks the machine while `act` looks for users and, if there are none, lets it rest. */
  async rest(machineId: string, act: () => Promise<void>): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#resting.set(machineId, promise);
    try {
      await act();
    } finally {
      this.#resting.delete(machineId);
      resolve();
    }
  }

  /** Machines that were used since the store learned of it, with the time of that. */
  unnoted(): readonly { readonly machineId: string; readonly notedMs: number }[] {
    const found: { machineId: string; notedMs: number }[] = [];
    for (const [machineId, { holds, lastMs, notedMs }] of this.#uses) {
      if (holds > 0 || lastMs > notedMs) found.push({ machineId, notedMs });
    }
    return found;
  }

  /** The store has learned that the machine was used until now. */
  noted(machineId: string): void {
    const use = this.#uses.get(machineId);
    if (use !== undefined) use.notedMs = this.#clock.elapsedMs();
  }

  /** For a machine without an idle policy, or that is gone: forgets its last use unless it is held. */
  forget(machineId: string): void {
    if (this.#uses.get(machineId)?.holds === 0) this.#uses.delete(machineId);
  }

  #touch(machineId: string): Use {
    const nowMs = this.#clock.elapsedMs();
    const use = this.#uses.get(machineId) ?? { holds: 0, lastMs: nowMs, notedMs: Number.NEGATIVE_INFINITY };
    use.lastMs = nowMs;
    this.#uses.set(machineId, use);
    return use;
  }
}
