/** Tells who follows the events that some were committed. Says neither which nor how many, and may ring for nothing. */

/** How other processes on the same database hear of it, where there are any. */
export interface RemoteBell {
  /** Tells the others; returns at once, never fails. */
  ring(): void;
  /** Calls `listener` when another process rang, and now and then in case a ring was lost. */
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

  /** After a commit of this process. */
  ring(): void {
    this.#tell();
    this.#remote?.ring();
  }

  /** Returns what ends it. */
  onRing(listener: () => void): () => void {
    this.#listeners.add(listener);
    this.#listening ??= this.#remote?.listen(() => this.#tell()) ?? Promise.resolve();
    // It keeps trying by itself.
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
