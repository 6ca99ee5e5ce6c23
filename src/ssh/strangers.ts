/**
 * Limits clients that have not authenticated: how many may be connected, and how often an address may fail. When there is no
 * more room, a new one evicts the oldest of the address with the most, so that a flood evicts itself.
 */
import type { Socket } from 'node:net';

const minuteMs = 60_000;
/** Beyond this, addresses whose failures are past are forgotten. */
const addressesMax = 10_000;

export interface StrangerLimits {
  readonly strangers: number;
  /** Wrong signatures and passwords; keys that are merely offered do not count. */
  readonly failuresPerMinute: number;
}

export class Strangers {
  readonly #limits: StrangerLimits;
  readonly #nowMs: () => number;
  /** By address, oldest first. */
  readonly #sockets = new Map<string, Set<Socket>>();
  readonly #failures = new Map<string, { left: number; atMs: number }>();
  #count = 0;

  /** `nowMs`: a monotonic clock. */
  constructor(limits: StrangerLimits, nowMs: () => number = () => performance.now()) {
    this.#limits = limits;
    this.#nowMs = nowMs;
  }

  get count(): number {
    return this.#count;
  }

  /** False: the address has failed too often, and the client is not to be served. Returns what forgets it. */
  add(socket: Socket, address: string): (() => void) | null {
    if (this.#leftOf(address) < 1) return null;
    const peers = this.#sockets.get(address) ?? new Set();
    this.#sockets.set(address, peers.add(socket));
    this.#count += 1;
    if (this.#count > this.#limits.strangers) this.#evict();
    return () => this.#forget(socket, address);
  }

  noteFailure(address: string): void {
    const left = this.#leftOf(address);
    if (this.#failures.size >= addressesMax) this.#forgetPast();
    this.#failures.set(address, { left: Math.max(0, left - 1), atMs: this.#nowMs() });
  }

  #leftOf(address: string): number {
    const known = this.#failures.get(address);
    if (known === undefined) return this.#limits.failuresPerMinute;
    const refilled = ((this.#nowMs() - known.atMs) * this.#limits.failuresPerMinute) / minuteMs;
    return Math.min(this.#limits.failuresPerMinute, known.left + refilled);
  }

  #evict(): void {
    let [address, most] = ['', new Set<Socket>()];
    for (const [each, sockets] of this.#sockets)
      if (sockets.size > most.size) [address, most] = [each, sockets];
    const [oldest] = most;
    if (oldest === undefined) return;
    this.#forget(oldest, address);
    oldest.destroy();
  }

  #forget(socket: Socket, address: string): void {
    const peers = this.#sockets.get(address);
    if (!peers?.delete(socket)) return;
    this.#count -= 1;
    if (peers.size === 0) this.#sockets.delete(address);
  }

  #forgetPast(): void {
    const now = this.#nowMs();
    for (const [address, { atMs }] of this.#failures)
      if (now - atMs >= minuteMs) this.#failures.delete(address);
  }
}
