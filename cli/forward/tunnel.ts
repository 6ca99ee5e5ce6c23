/**
 * One connection: bytes between a TCP connection of this host and a port in a machine, each direction with its own end. A
 * slow side stops the other: no more than about 512 KiB wait in this process. A failure resets the connection here, so
 * that no half of a transfer looks like a whole one.
 */
import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { FlotillaError } from '../../sdk/src/index.ts';
import { closeError, refusalOf, socketError } from './port-socket.ts';

const frameBytesMax = 64 * 1024;
/** From so many bytes on that wait to be sent, nothing more is read from the local connection… */
const waitingBytesMax = 512 * 1024;
/** …until there are no more than these. */
const waitingBytesLow = 128 * 1024;
/** The daemon gives up a client that is silent for 60 s, and one that does not read answers no pings. */
const signOfLifeMs = 20_000;

/** Why a message is not one of the protocol. */
class ProtocolError extends Error {}

export class Tunnel {
  readonly #local: Socket;
  readonly #remote: WebSocket;
  readonly #url: string;
  readonly #life: NodeJS.Timeout;
  readonly #done = Promise.withResolvers<void>();
  #wasOpen = false;
  #isEndedByRemote = false;
  #told: unknown = null;
  #isBroken = false;
  #failure: FlotillaError | null = null;

  /** `local` allows half-open connections and is paused, with nothing read; `url` is the daemon's, for messages. */
  constructor(local: Socket, remote: WebSocket, url: string) {
    this.#local = local;
    this.#remote = remote;
    this.#url = url;
    this.#life = setInterval(() => this.#showLife(), signOfLifeMs);
    this.#listenLocally();
    this.#listenRemotely();
  }

  /** Resolves when both ends are closed. Rejects with FlotillaError when the daemon or the machine is the reason. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  /** Closes both ends at once. */
  break(): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    if (!this.#local.destroyed) this.#local.resetAndDestroy();
    this.#remote.terminate();
  }

  #listenLocally(): void {
    const local = this.#local;
    local.on('data', (data) => this.#sendData(data));
    local.on('end', () => this.#send(JSON.stringify({ type: 'end' })));
    local.on('drain', () => this.#remote.resume());
    // The client here has gone; that is its business.
    local.on('error', () => this.break());
    local.on('close', () => {
      if (!this.#isEndedByRemote) this.break();
      this.#settle();
    });
  }

  #listenRemotely(): void {
    const remote = this.#remote;
    remote.on('open', () => {
      this.#wasOpen = true;
      this.#local.resume();
    });
    remote.on('message', (data, isBinary) => {
      try {
        this.#onMessage(data as Buffer, isBinary);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        this.#fail(socketError(this.#url, true, error));
      }
    });
    remote.on('unexpected-response', (_, response) => {
      void refusalOf(response).then((error) => this.#fail(error));
    });
    remote.on('error', (error) => this.#fail(socketError(this.#url, this.#wasOpen, error)));
    remote.on('close', (code) => {
      const error = closeError(code, this.#told);
      if (error !== null) this.#fail(error);
      else this.#local.destroySoon();
      this.#settle();
    });
  }

  #sendData(data: Buffer): void {
    for (let at = 0; at < data.length; at += frameBytesMax) this.#send(data.subarray(at, at + frameBytesMax));
    if (this.#remote.bufferedAmount > waitingBytesMax) this.#local.pause();
  }

  #send(message: Buffer | string): void {
    // The callback's error is that of the close, too.
    this.#remote.send(message, () => {
      if (this.#local.isPaused() && this.#remote.bufferedAmount <= waitingBytesLow) this.#local.resume();
    });
  }

  #onMessage(data: Buffer, isBinary: boolean): void {
    if (this.#local.destroyed) return;
    if (isBinary) {
      if (this.#isEndedByRemote) throw new ProtocolError('bytes after the end');
      if (!this.#local.write(data)) this.#remote.pause();
      return;
    }
    const message = parsed(data.toString());
    if (message.type === 'end') {
      this.#isEndedByRemote = true;
      this.#local.end();
    } else if (message.type === 'error') this.#told = message.error ?? {};
  }

  #showLife(): void {
    const { readyState, OPEN, bufferedAmount } = this.#remote;
    if (readyState === OPEN && bufferedAmount <= waitingBytesLow) this.#remote.ping();
  }

  #fail(error: FlotillaError): void {
    if (this.#isBroken) return;
    this.#failure = error;
    this.break();
  }

  #settle(): void {
    if (!this.#local.destroyed || this.#remote.readyState !== this.#remote.CLOSED) return;
    clearInterval(this.#life);
    if (this.#failure === null) this.#done.resolve();
    else this.#done.reject(this.#failure);
  }
}

function parsed(text: string): { readonly type?: unknown; readonly error?: unknown } {
  try {
    const message: unknown = JSON.parse(text);
    if (typeof message === 'object' && message !== null) return message;
  } catch {
    // As any other text that is no message.
  }
  throw new ProtocolError('a text frame is not a message');
}
