/** Frames that follow a call's answer: type, length and payload; part 4 of `protocol.ts`. */
import { AppError } from '../core/errors.ts';
import type { ByteSource } from './lines.ts';
import { framePayloadBytesMax } from './protocol.ts';

const frameHeaderBytes = 5;

/** `payload`: at most 64 KiB. */
export function encodeFrame(type: number, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(frameHeaderBytes + payload.length);
  frame.writeUInt8(type, 0);
  frame.writeUInt32BE(payload.length, 1);
  frame.set(payload, frameHeaderBytes);
  return frame;
}

export interface FrameReaderOptions {
  /** What the errors call a frame, for example `an exec frame`. */
  readonly noun: string;
  /** The last frame of the call, for example `the outcome`. */
  readonly last: string;
  readonly isKnown: (type: number) => boolean;
}

/**
 * Reads frames: `type` for the next one, then `piece` or `payload` for its content. A payload is passed on in the
 * pieces in which it arrives. Rejects with `guest` when the guest violates the framing.
 */
export class FrameReader {
  readonly #source: ByteSource;
  readonly #options: FrameReaderOptions;
  readonly #header = Buffer.alloc(frameHeaderBytes);
  #chunk: Buffer;
  #headerBytes = 0;
  #type = 0;
  #payloadLeft = 0;

  /** `received`: bytes already read from the source. */
  constructor(source: ByteSource, received: Buffer, options: FrameReaderOptions) {
    this.#source = source;
    this.#chunk = received;
    this.#options = options;
  }

  /** The type of the frame whose payload is not yet read, or of the next one. */
  async type(): Promise<number> {
    if (this.#payloadLeft > 0) return this.#type;
    while (this.#headerBytes < frameHeaderBytes) {
      const piece = await this.#take(frameHeaderBytes - this.#headerBytes);
      this.#header.set(piece, this.#headerBytes);
      this.#headerBytes += piece.length;
    }
    this.#headerBytes = 0;
    this.#type = this.#header.readUInt8(0);
    this.#payloadLeft = this.#header.readUInt32BE(1);
    const { noun, isKnown } = this.#options;
    if (!isKnown(this.#type)) throw new AppError('guest', `the guest sent ${noun} of type ${this.#type}`);
    if (this.#payloadLeft === 0 || this.#payloadLeft > framePayloadBytesMax)
      throw new AppError('guest', `the guest sent ${noun} of ${this.#payloadLeft} bytes`);
    return this.#type;
  }

  /** What has arrived of the payload, at least one byte. */
  async piece(): Promise<Buffer> {
    const data = await this.#take(this.#payloadLeft);
    this.#payloadLeft -= data.length;
    return data;
  }

  /** The whole payload. */
  async payload(): Promise<Buffer> {
    const payload = Buffer.allocUnsafe(this.#payloadLeft);
    while (this.#payloadLeft > 0) {
      const piece = await this.#take(this.#payloadLeft);
      payload.set(piece, payload.length - this.#payloadLeft);
      this.#payloadLeft -= piece.length;
    }
    return payload;
  }

  /** At least one byte, at most `bytesMax`. */
  async #take(bytesMax: number): Promise<Buffer> {
    while (this.#chunk.length === 0) {
      const chunk = await this.#source.read();
      if (chunk === null)
        throw new AppError('guest', `the guest ended the call before ${this.#options.last}`);
      this.#chunk = chunk;
    }
    const piece = this.#chunk.subarray(0, bytesMax);
    this.#chunk = this.#chunk.subarray(piece.length);
    return piece;
  }
}
