/**
 * One connection to the server: its owner, its waiting requests, and when it is closed. Requests of one
 * connection are served in sequence, even if the client sends several ahead.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/** Limit of requests waiting on one connection; clients that read their answers never reach it. */
const waitingMax = 64;
/** How long a connection that we have ended may stay open on the client's side. */
const halfOpenMs = 1_000;
/** How long a client may not read while there is data to send. */
export const stalledMsDefault = 30_000;

interface Exchange {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly serve: () => void;
}

export class Connection {
  readonly socket: Duplex;
  /** The key for counting its client: an address, or a network that one client may own. */
  readonly address: string;
  /** Who sent a valid key on it; undefined: nobody yet, null: the operator. */
  holder: string | null | undefined = undefined;
  readonly #onAdmitted: (connection: Connection) => void;
  readonly #exchanges: Exchange[] = [];
  #afterLast: (() => void) | null = null;

  constructor(socket: Duplex, address: string, onAdmitted: (connection: Connection) => void) {
    this.socket = socket;
    this.address = address;
    this.#onAdmitted = onAdmitted;
    // The client may never close its side, and such idle sockets would pile up.
    socket.once('finish', () => {
      const timer = setTimeout(() => socket.destroy(), halfOpenMs);
      socket.once('close', () => clearTimeout(timer));
    });
    socket.once('close', () => {
      this.#exchanges.length = 0;
    });
  }

  /** Records the first valid key. Raises `exhausted` when its holder has too many connections. */
  admit(holder: string | null): void {
    if (this.holder !== undefined) return;
    this.holder = holder;
    this.#onAdmitted(this);
  }

  /** Serves the request once the earlier ones of this connection have been answered. */
  enter(incoming: IncomingMessage, outgoing: ServerResponse, serve: () => void): void {
    if (this.#exchanges.length > waitingMax) {
      this.socket.destroy();
      return;
    }
    this.#exchanges.push({ incoming, outgoing, serve });
    outgoing.once('close', () => this.#leave(outgoing));
    if (this.#exchanges.length === 1) serve();
  }

  /** Whether a request is being served or waits. */
  get isBusy(): boolean {
    return this.#exchanges.length > 0;
  }

  /**
   * The bytes after the current requests are not HTTP: `refuse` is called when those are answered. A request
   * that breaks in its middle cannot be answered after its answer has begun, or behind others; then the
   * connection is closed.
   */
  refuse(refuse: () => void): void {
    const last = this.#exchanges.at(-1);
    if (last === undefined) refuse();
    else if (last.incoming.complete) this.#afterLast = refuse;
    else if (this.#exchanges.length === 1 && !last.outgoing.headersSent) refuse();
    else this.socket.destroy();
  }

  #leave(outgoing: ServerResponse): void {
    if (this.#exchanges[0]?.outgoing !== outgoing) return;
    this.#exchanges.shift();
    const [next] = this.#exchanges;
    if (next !== undefined) next.serve();
    else this.#afterLast?.();
  }
}
