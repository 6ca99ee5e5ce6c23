/** Sends what a caller provides to the guest: a command's standard input, or the content of a file. */
import { encodeFrame } from './frames.ts';
import { framePayloadBytesMax, frameTypes } from './protocol.ts';
import type { YamuxStream } from './yamux/stream.ts';

export interface PumpFrames {
  readonly data: number;
  /** Its payload is empty. */
  readonly end: number;
}

export const stdinFrames: PumpFrames = { data: frameTypes.stdin, end: frameTypes.stdin };
export const uploadFrames: PumpFrames = { data: frameTypes.upload, end: frameTypes.uploadEnd };

/** Sends a source in frames, with backpressure from the guest, and then its end. */
export class FramePump {
  readonly #stream: Pick<YamuxStream, 'write'>;
  readonly #iterator: AsyncIterator<Uint8Array>;
  readonly #frames: PumpFrames;
  #isStopped = false;

  constructor(stream: Pick<YamuxStream, 'write'>, source: AsyncIterable<Uint8Array>, frames: PumpFrames) {
    this.#stream = stream;
    this.#frames = frames;
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
      await this.#stream.write(encodeFrame(this.#frames.end, Buffer.alloc(0)));
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
      await this.#stream.write(encodeFrame(this.#frames.data, payload));
    }
  }
}
