/** Signals that events were committed, but not which ones. Spurious signals are allowed. */

/** Carries the signal between processes on the same database. */
export interface RemoteBell {
  /** Signals other processes; returns at once, never fails. */
  ring(): void;
  /** Calls `listener` on a signal of another process, and periodically in case one was lost. */
  listen(listener: () => void): Promise<void>;
  close(): Promise<void>;
}

export class Doorbell {
  readonly #remote: RemoteBell | undefined;
  readonly #listeners = new Set<() => void>();
  #listening: Promise<void> | null = null;

  constructor(remote: RemoteBell | undefined) {
    this.#remote = remote;
  }

  /** Call after a commit of this process. */
  ring(): void {
    this.#tell();
    this.#remote?.ring();
  }

  /** Returns a function that ends the subscription. */
  onRing(listener: () => void): () => void {
    this.#listeners.add(listener);
    this.#listening ??= this.#remote?.listen(() => this.#tell()) ?? Promise.resolve();
    // The bell reconnects by itself.
    this.#listening.catch(() => undefined);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#listeners.clear();
    await this.#remote?.close();
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
