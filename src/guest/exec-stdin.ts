import { encodeExecFrame } from './exec-frames.ts';
import { framePayloadBytesMax, frameTypes } from './protocol.ts';
import type { YamuxStream } from './yamux/stream.ts';

/** Sends a source as a command's standard input, no faster than the guest takes it, then its end. */
export class StdinPump {
  readonly #stream: YamuxStream;
  readonly #iterator: AsyncIterator<Uint8Array>;
  #isStopped = false;

  constructor(stream: YamuxStream, source: AsyncIterable<Uint8Array>) {
    this.#stream = stream;
    this.#iterator = source[Symbol.asyncIterator]();
  }

  /** Resolves when all was sent or `stop` was called; rejects when the source or the stream fails before that. */
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

  /** Takes no more from the source and closes it; a source that is waiting is not waited for. */
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
