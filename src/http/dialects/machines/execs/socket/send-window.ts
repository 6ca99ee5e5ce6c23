/**
 * Flow control in one direction: how many bytes may be on their way before the receiver has acknowledged them. One bounds the
 * output that a client has not consumed, another the input that a command has not taken.
 */

/** How much of a stream may be unacknowledged. */
export const windowBytes = 256 * 1024;

export class SendWindow {
  #sent = 0;
  #acknowledged = 0;
  #opened: PromiseWithResolvers<void> | null = null;

  get room(): number {
    return windowBytes - (this.#sent - this.#acknowledged);
  }

  /** Bytes that went through so far. */
  get sent(): number {
    return this.#sent;
  }

  /** Resolves when there is room; rejects with the signal's reason. */
  async open(signal: AbortSignal): Promise<void> {
    while (this.room <= 0) {
      signal.throwIfAborted();
      this.#opened = Promise.withResolvers();
      const { promise, reject } = this.#opened;
      const onAbort = () => reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        await promise;
      } finally {
        signal.removeEventListener('abort', onAbort);
      }
    }
  }

  send(bytes: number): void {
    this.#sent += bytes;
  }

  /** `total`: all bytes since the beginning. False when that is less than before, or more than was sent. */
  acknowledge(total: number): boolean {
    if (total < this.#acknowledged || total > this.#sent) return false;
    this.#acknowledged = total;
    this.#opened?.resolve();
    this.#opened = null;
    return true;
  }
}
