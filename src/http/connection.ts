/**
 * One connection to the server, from its first byte to its last: whose it is, the requests that wait on it, and when it
 * is cut. Requests of one connection are served one after the other, whatever the client has sent ahead.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/** Requests that may wait on one connection; no client that reads its answers comes near. */
const waitingMax = 64;
/** How long a connection that we have ended may stay open on the client's side. */
const halfOpenMs = 1_000;
/** How long a connection may have something to send that the client does not take. */
export const stalledMsDefault = 30_000;

interface Exchange {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly serve: () => void;
}

export class Connection {
  readonly socket: Duplex;
  /** What its client is counted by: an address, or a network of addresses that one client can have. */
  readonly address: string;
  /** Who showed a good key on it; undefined: nobody yet, null: the operator. */
  holder: string | null | undefined = undefined;
  readonly #onAdmitted: (connection: Connection) => void;
  readonly #exchanges: Exchange[] = [];
  #afterLast: (() => void) | null = null;

  constructor(socket: Duplex, address: string, onAdmitted: (connection: Connection) => void) {
    this.socket = socket;
    this.address = address;
    this.#onAdmitted = onAdmitted;
    // The client may never close its side: such sockets would pile up without a byte on them.
    socket.once('finish', () => {
      const timer = setTimeout(() => socket.destroy(), halfOpenMs);
      socket.once('close', () => clearTimeout(timer));
    });
    socket.once('close', () => {
      this.#exchanges.length = 0;
    });
  }

  /** A good key was shown; the first one counts. Raises `exhausted` when its holder has too many connections. */
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
   * What follows the requests that are there is no HTTP: `refuse` is called when they are answered. A request that is
   * broken in its middle cannot be answered any more once its answer has begun, or after others: the connection is cut.
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
