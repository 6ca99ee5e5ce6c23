/**
 * A request to go on as a WebSocket. The application answers it like any other, over HTTP, until a route takes the
 * connection; a refusal ends the connection. Made by the server, taken by `openWebSocket`.
 */
import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Whether Node must hand over the connection. */
export function isForWebSocket({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket';
}

export class Upgrade {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly socket: Socket;
  /** What the client sent after the request. */
  readonly head: Buffer;
  #isTaken = false;
  #isDraining = false;
  #onDrain: (() => void) | null = null;

  constructor(incoming: IncomingMessage, socket: Socket, head: Buffer) {
    this.incoming = incoming;
    this.socket = socket;
    this.head = head;
    this.outgoing = new ServerResponse(incoming);
    // Node no longer parses requests of this connection.
    this.outgoing.shouldKeepAlive = false;
    this.outgoing.once('finish', () => {
      socket.end();
      socket.resume();
    });
  }

  /** The answer may be sent, because those to earlier requests of the connection are. */
  open(): void {
    // From here on, the answer is closed when the connection is.
    this.outgoing.assignSocket(this.socket);
  }

  get isTaken(): boolean {
    return this.#isTaken;
  }

  /** Keeps the connection for another protocol. `onDrain` is called when the server is about to end. */
  take(onDrain: () => void): void {
    this.#isTaken = true;
    this.#onDrain = onDrain;
    if (this.#isDraining) onDrain();
  }

  /** Asks whoever has taken the connection to close it soon. */
  drain(): void {
    this.#isDraining = true;
    this.#onDrain?.();
  }
}
