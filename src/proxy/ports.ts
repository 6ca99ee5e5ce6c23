/**
 * Gives requests their turn on a port of a machine, a bounded number at a time and the others in order, and keeps
 * connections for later requests. Called for each proxied request. Makes no connections, and knows nothing of what they carry.
 */
import type { Duplex } from 'node:stream';
import type { Client } from 'undici';

/** Requests that one port may have under way, and connections that it may have for them; its machine may have 128. */
export const connectionsMax = 96;
const idleMax = 32;
const idleTotalMax = 1024;

/** A connection that carries one request after the other. */
export interface Kept {
  readonly client: Client;
  readonly stream: Duplex;
  /** Whether it has carried a request: the program may have closed it at the moment of its next use. */
  isReused: boolean;
}

/** All ports that have requests or connections. */
export class Ports {
  readonly #ports = new Map<string, Port>();
  readonly #open = new Set<Duplex>();
  /** Of all ports. */
  idleCount = 0;

  /** A turn to start. `key` tells ports of machines apart; `begin` is called when the request may be sent. */
  turn(key: string, begin: () => void): Turn {
    let port = this.#ports.get(key);
    if (port === undefined) {
      port = new Port(this, key);
      this.#ports.set(key, port);
    }
    return new Turn(port, begin);
  }

  /** Ports that have any. */
  get size(): number {
    return this.#ports.size;
  }

  opened(stream: Duplex): void {
    this.#open.add(stream);
    stream.once('close', () => this.#open.delete(stream));
  }

  forget(port: Port): void {
    if (this.#ports.get(port.key) === port) this.#ports.delete(port.key);
  }

  /** Ends all kept connections. */
  close(): void {
    for (const stream of this.#open) stream.destroy();
  }
}

class Port {
  readonly key: string;
  readonly #all: Ports;
  /** The last is used first, so that those that are not needed get old. */
  readonly #idle: Kept[] = [];
  readonly #waiting = new Set<Turn>();
  #underWay = 0;

  constructor(all: Ports, key: string) {
    this.#all = all;
    this.key = key;
  }

  start(turn: Turn): void {
    if (this.#underWay < connectionsMax) this.#begin(turn);
    else this.#waiting.add(turn);
  }

  /** Of one whose turn has not come. */
  giveUp(turn: Turn): void {
    this.#waiting.delete(turn);
  }

  leave(): void {
    this.#underWay -= 1;
    const [next] = this.#waiting;
    if (next === undefined) return void this.#forget();
    this.#waiting.delete(next);
    this.#begin(next);
  }

  idle(): Kept | null {
    for (;;) {
      const kept = this.#idle.pop();
      if (kept === undefined) return null;
      this.#all.idleCount -= 1;
      if (!kept.stream.destroyed) return kept;
    }
  }

  /** Ends an idle connection, if a new one would be too many. */
  makeRoom(): void {
    if (this.#idle.length + this.#underWay <= connectionsMax) return;
    this.#all.idleCount -= 1;
    this.#idle.shift()?.stream.destroy();
  }

  opened(kept: Kept): void {
    this.#all.opened(kept.stream);
    kept.stream.once('close', () => {
      const index = this.#idle.indexOf(kept);
      if (index < 0) return;
      this.#idle.splice(index, 1);
      this.#all.idleCount -= 1;
      this.#forget();
    });
  }

  keep(kept: Kept): void {
    kept.isReused = true;
    if (kept.stream.destroyed) return;
    if (this.#idle.length >= idleMax || this.#all.idleCount >= idleTotalMax)
      return void kept.stream.destroy();
    this.#idle.push(kept);
    this.#all.idleCount += 1;
  }

  #begin(turn: Turn): void {
    this.#underWay += 1;
    turn.begin();
  }

  #forget(): void {
    if (this.#underWay + this.#idle.length + this.#waiting.size === 0) this.#all.forget(this);
  }
}

/** A request’s place among those of its port. */
export class Turn {
  readonly #port: Port;
  readonly #begin: () => void;
  #state: 'waits' | 'runs' | 'is over' = 'waits';

  constructor(port: Port, begin: () => void) {
    this.#port = port;
    this.#begin = begin;
  }

  /** Calls `begin`, which may be at once. */
  start(): void {
    this.#port.start(this);
  }

  /** If it has not begun, it never will. */
  giveUp(): void {
    if (this.#state === 'waits') this.#port.giveUp(this);
  }

  /** For the port. */
  begin(): void {
    this.#state = 'runs';
    this.#begin();
  }

  /** A kept connection that no request uses; null when there is none. */
  idle(): Kept | null {
    return this.#port.idle();
  }

  /** Call it before a connection is made. */
  makeRoom(): void {
    this.#port.makeRoom();
  }

  /** A new connection that is to be kept. */
  opened(kept: Kept): void {
    this.#port.opened(kept);
  }

  /** Leaves the connection to later requests. */
  keep(kept: Kept): void {
    this.#port.keep(kept);
  }

  /** Frees the place. Calling it twice is safe. */
  end(): void {
    if (this.#state === 'runs') this.#port.leave();
    this.#state = 'is over';
  }
}
