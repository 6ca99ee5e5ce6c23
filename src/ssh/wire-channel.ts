/**
 * Reads and writes one channel of a connection with backpressure, which ssh2 leaves to its user in three places: it writes
 * to the socket however much waits there, it repeats a piece that once waited for the client's window when the other
 * stream waits later, and it never calls back when a channel closes during a write.
 */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { ServerChannel } from 'ssh2';
import { abortable } from '../lib/abort.ts';

/** More than this in the socket's buffer makes writers wait. */
const socketBytesMax = 1024 * 1024;
/** Of one read, so that a call to the guest stays small. */
const readBytesMax = 128 * 1024;

/** Fields of ssh2's channels that its types do not tell; the version of the package is pinned. */
interface ChannelFields {
  _chunk: unknown;
  _chunkcb: unknown;
  _chunkErr: unknown;
  _chunkcbErr: unknown;
  eof(): void;
}

export class WireChannel {
  readonly #channel: ServerChannel;
  readonly #socket: Socket;
  readonly #closed = new AbortController();
  #isInputOver = false;

  constructor(channel: ServerChannel, socket: Socket, parent: AbortSignal) {
    this.#channel = channel;
    this.#socket = socket;
    const close = (reason: unknown) => this.#closed.abort(reason);
    channel.on('close', () => close(new Error('the client has closed the channel')));
    channel.on('error', close);
    channel.on('end', () => {
      this.#isInputOver = true;
    });
    if (parent.aborted) close(parent.reason);
    else parent.addEventListener('abort', () => close(parent.reason), { once: true });
  }

  /** Aborts when the channel is closed, from either side. */
  get signal(): AbortSignal {
    return this.#closed.signal;
  }

  /** Resolves when the client's window has taken the data. Call it for one piece after the other. */
  async write(stream: 'stdout' | 'stderr', data: Uint8Array): Promise<void> {
    while (this.#socket.writableLength > socketBytesMax) {
      await once(this.#socket, 'drain', { signal: this.signal });
    }
    this.signal.throwIfAborted();
    const { promise, resolve } = Promise.withResolvers<void>();
    const target = stream === 'stdout' ? this.#channel : this.#channel.stderr;
    target.write(data, () => resolve());
    await abortable(promise, this.signal);
    Object.assign(this.#channel, {
      ...{ _chunk: undefined, _chunkcb: undefined, _chunkErr: undefined, _chunkcbErr: undefined },
    } satisfies Omit<ChannelFields, 'eof'>);
  }

  /** The next piece of what the client sends; null at its end. */
  async read(signal: AbortSignal = this.signal): Promise<Uint8Array | null> {
    for (;;) {
      signal.throwIfAborted();
      const waiting = this.#channel.readableLength;
      const piece: Buffer | null = this.#channel.read(Math.min(waiting, readBytesMax) || undefined);
      if (piece !== null) return piece;
      if (this.#isInputOver) return null;
      const { promise, resolve } = Promise.withResolvers<void>();
      const wake = () => resolve();
      this.#channel.once('readable', wake).once('end', wake);
      try {
        await abortable(promise, signal);
      } finally {
        this.#channel.off('readable', wake).off('end', wake);
      }
    }
  }

  /** Drops what the client sends from here on. */
  drain(): void {
    this.#channel.resume();
  }

  /** Ends this direction alone. */
  endOutput(): void {
    if (!this.signal.aborted) (this.#channel as unknown as ChannelFields).eof();
  }

  /** Tells how the command ended, and closes. */
  exit(code: number): void {
    if (!this.signal.aborted) this.#channel.exit(code);
    this.close();
  }

  exitBySignal(name: string): void {
    if (!this.signal.aborted) this.#channel.exit(name, false, '');
    this.close();
  }

  close(): void {
    if (this.signal.aborted) return;
    this.#channel.end();
    this.#channel.close();
  }
}
