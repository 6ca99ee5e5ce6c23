/** The in-memory transport of the guest link. */
import { type Duplex, duplexPair } from 'node:stream';
import type { AddressOf, Dial } from './transport.ts';

/**
 * Carriers inside this process, for the fake engine and tests: a guest listens on a key, the link dials it.
 * Each dial makes a new pair; an earlier pair of the same key stays until either side ends it.
 */
export class MemoryTransport {
  readonly #listeners = new Map<string, (guestEnd: Duplex) => void>();

  /** Accepts connections to `key` until the returned function is called. Throws when the key is taken. */
  listen(key: string, onConnection: (guestEnd: Duplex) => void): () => void {
    if (this.#listeners.has(key)) throw new Error(`memory address in use: ${key}`);
    this.#listeners.set(key, onConnection);
    return () => {
      if (this.#listeners.get(key) === onConnection) this.#listeners.delete(key);
    };
  }

  /** For `GuestClient`'s transports. */
  readonly dial: Dial<'memory'> = async (address: AddressOf<'memory'>, signal: AbortSignal) => {
    signal.throwIfAborted();
    const onConnection = this.#listeners.get(address.key);
    if (onConnection === undefined) throw new Error(`nothing listens on memory address ${address.key}`);
    const [hostEnd, guestEnd] = duplexPair();
    onConnection(guestEnd);
    return hostEnd;
  };
}
