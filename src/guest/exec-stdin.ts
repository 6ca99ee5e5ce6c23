/** Sends a caller's standard input to a command in the guest. */
import { encodeExecFrame } from './exec-frames.ts';
import { framePayloadBytesMax, frameTypes } from './protocol.ts';
import type { YamuxStream } from './yamux/stream.ts';

/** Sends a source as a command's standard input, with backpressure from the guest, and then its end. */
export class StdinPump {
  readonly #stream: YamuxStream;
  readonly #iterator: AsyncIterator<Uint8Array>;
  #isStopped = false;

  constructor(stream: YamuxStream, source: AsyncIterable<Uint8Array>) {
    this.#stream = stream;
    this.#iterator = source[Symbol.asyncIterator]();
  }

  /**
   * Resolves when everything was sent or `stop` was called; rejects when the source or the stream fails
   * before.
   */
  async run(): Promise<void> {
    try {
      for (;;) {
        const next = await this.#iterator.next();
        if (this.#isStopped) return;
        if (next.done === true) break;
        await this.#send(next.value);
      }
      await this.#stream.write(encodeExecFrame(frameTypes.stdin, Buffer.alloc(0)));
    } catch (error) {
      if (!this.#isStopped) throw error;
    } finally {
      this.stop();
    }
  }

  /** Stops reading the source and closes it, without waiting for a pending read. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    Promise.resolve(this.#iterator.return?.()).catch(() => undefined);
  }

  async #send(chunk: Uint8Array): Promise<void> {
    for (let offset = 0; offset < chunk.length; offset += framePayloadBytesMax) {
      const payload = chunk.subarray(offset, offset + framePayloadBytesMax);
      await this.#stream.write(encodeExecFrame(frameTypes.stdin, payload));
    }
  }
}
