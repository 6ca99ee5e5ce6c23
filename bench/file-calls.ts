/** Uploads and downloads of one file over HTTP, on bare sockets: a client of Node's own would be measured, too. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { AppError } from '../src/core/errors.ts';
import type { BenchDaemon } from './workplace.ts';

const headerEnd = '\r\n\r\n';
const headBytesMax = 16 * 1024;
const readBytes = 256 * 1024;
const refusalCharactersMax = 500;

export class FileCalls {
  readonly #daemon: BenchDaemon;
  readonly #target: string;

  constructor(daemon: BenchDaemon, machineId: string, path: string) {
    this.#daemon = daemon;
    this.#target = `/machines/${machineId}/files/content?path=${encodeURIComponent(path)}`;
  }

  /** Resolves when the server has answered that the file is written. */
  async upload(content: Uint8Array, signal: AbortSignal): Promise<void> {
    const headers = ['Content-Type: application/octet-stream', `Content-Length: ${content.length}`];
    await using exchange = await this.#open('PUT', headers, signal);
    exchange.socket.write(content);
    await exchange.head();
  }

  /** Raises `internal` when another number of bytes comes. */
  async download(bytes: number, signal: AbortSignal): Promise<void> {
    await using exchange = await this.#open('GET', [], signal);
    await exchange.head();
    await exchange.until(() => exchange.bodyBytes >= bytes);
    if (exchange.bodyBytes > bytes)
      throw new AppError('internal', `the server sent ${exchange.bodyBytes - bytes} bytes too many`);
  }

  /** Begins a download and reads nothing after the head of the answer. */
  async openPaused(signal: AbortSignal): Promise<Disposable> {
    const exchange = await this.#open('GET', [], signal, { isPausedAfterHead: true });
    try {
      await exchange.head();
    } catch (error) {
      exchange.socket.destroy();
      throw error;
    }
    return { [Symbol.dispose]: () => void exchange.socket.destroy() };
  }

  async #open(
    method: 'GET' | 'PUT',
    headers: readonly string[],
    signal: AbortSignal,
    options: ExchangeOptions = { isPausedAfterHead: false },
  ): Promise<Exchange> {
    const { host, port, key } = this.#daemon;
    const exchange = new Exchange({ host, port }, signal, options);
    await once(exchange.socket, 'connect', { signal });
    const lines = [
      `${method} ${this.#target} HTTP/1.1`,
      `Host: ${host}:${port}`,
      `Authorization: Bearer ${key}`,
      'Connection: close',
      ...headers,
    ];
    exchange.socket.write(`${lines.join('\r\n')}${headerEnd}`);
    return exchange;
  }
}

interface ExchangeOptions {
  readonly isPausedAfterHead: boolean;
}

/**
 * One request on a connection of its own. Reads into one buffer, because a buffer for each read would cost this process
 * as much as the reading.
 */
class Exchange implements AsyncDisposable {
  readonly socket: Socket;
  /** How much of the body has come. */
  bodyBytes = 0;
  readonly #signal: AbortSignal;
  readonly #options: ExchangeOptions;
  #head = '';
  #failure: Error | null = null;
  #onChange: () => void = () => undefined;

  constructor(
    { host, port }: { readonly host: string; readonly port: number },
    signal: AbortSignal,
    options: ExchangeOptions,
  ) {
    this.#signal = signal;
    this.#options = options;
    const onread = {
      buffer: Buffer.allocUnsafe(readBytes),
      callback: (bytes: number, buffer: Uint8Array) => this.#take(buffer.subarray(0, bytes)),
    };
    this.socket = connect({ host, port, noDelay: true, onread });
    this.socket.on('error', (error) => {
      this.#failure = error;
    });
    this.socket.on('close', () => this.#onChange());
  }

  /** Resolves when the head has come. Raises `internal` for a status but 200. */
  async head(): Promise<void> {
    await this.until(() => this.#head.includes(headerEnd) || this.#head.length > headBytesMax);
    if (!this.#head.includes(headerEnd)) throw new AppError('internal', 'the answer has no head');
    if (!this.#head.startsWith('HTTP/1.1 200 '))
      throw new AppError('internal', `the server answered ${this.#head.slice(0, refusalCharactersMax)}`);
  }

  async until(isReached: () => boolean): Promise<void> {
    while (!isReached()) {
      this.#signal.throwIfAborted();
      if (this.socket.destroyed)
        throw new AppError('unavailable', 'the server closed the connection', { cause: this.#failure });
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onChange = () => {
        if (isReached() || this.socket.destroyed || this.#signal.aborted) resolve();
      };
      this.#signal.addEventListener('abort', this.#onChange, { once: true });
      await promise;
      this.#signal.removeEventListener('abort', this.#onChange);
    }
  }

  /** False: reads no more. */
  #take(data: Uint8Array): boolean {
    if (this.#head.includes(headerEnd)) this.bodyBytes += data.length;
    else {
      this.#head += Buffer.from(data).toString('latin1');
      const end = this.#head.indexOf(headerEnd);
      if (end >= 0) this.bodyBytes += this.#head.length - end - headerEnd.length;
    }
    this.#onChange();
    return !(this.#options.isPausedAfterHead && this.#head.includes(headerEnd));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
    if (!this.socket.closed) await once(this.socket, 'close');
  }
}
