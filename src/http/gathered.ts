/**
 * Buffers the beginning of a command's output stream for a buffered answer. The held bytes are charged to the
 * caller. If the caller's memory is used up before the limit, it holds less and says so. The rest is read and
 * dropped, because a command that has run must not fail for lack of memory here.
 */
import { isAppError } from '../core/errors.ts';

/** Limit of a buffered answer per stream. */
export const gatheredBytesMax = 8 * 1024 * 1024;
/**
 * Charged before the command runs, so that a command whose output could not be held at all is refused
 * instead.
 */
const firstBytes = 16 * 1024;
/** How much is converted to text at a time; a multiple of 3, so that base64 has no padding within. */
const pieceBytes = 48 * 1024;

export type Encoding = 'utf8' | 'base64';

export class Gathered {
  readonly #reserve: (bytes: number) => void;
  /** One growing buffer: a list of small chunks would use far more memory than their bytes. */
  #buffer = Buffer.alloc(0);
  #reserved = firstBytes;
  #isTruncated = false;
  #bytes = 0;
  #written = 0;

  /** `reserve` charges memory and raises `exhausted` if there is none; this constructor does too. */
  constructor(reserve: (bytes: number) => void) {
    this.#reserve = reserve;
    reserve(firstBytes);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether more was written than is held. */
  get isTruncated(): boolean {
    return this.#isTruncated;
  }

  /** How many bytes were written, with those that are not held. */
  get written(): number {
    return this.#written;
  }

  push(data: Uint8Array): void {
    this.#written += data.length;
    // Appending after a gap would hide the gap.
    if (this.#isTruncated) return;
    this.#grow(Math.min(gatheredBytesMax, this.#bytes + data.length));
    const kept = data.subarray(0, this.#buffer.length - this.#bytes);
    this.#isTruncated = kept.length < data.length;
    this.#buffer.set(kept, this.#bytes);
    this.#bytes += kept.length;
  }

  text(encoding: Encoding = 'utf8', bytesMax = this.#bytes): string {
    return this.#buffer.toString(encoding, 0, Math.min(bytesMax, this.#bytes));
  }

  /** The same, in chunks. */
  *texts(encoding: Encoding = 'utf8'): Generator<string> {
    if (encoding === 'base64') {
      for (let from = 0; from < this.#bytes; from += pieceBytes)
        yield this.#buffer.toString('base64', from, Math.min(from + pieceBytes, this.#bytes));
      return;
    }
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    for (let from = 0; from < this.#bytes; from += pieceBytes) {
      const to = Math.min(from + pieceBytes, this.#bytes);
      yield decoder.decode(this.#buffer.subarray(from, to), { stream: to < this.#bytes });
    }
  }

  /** Grows to `bytes`, or as far as the caller’s memory allows. */
  #grow(bytes: number): void {
    if (bytes <= this.#buffer.length) return;
    const size = Math.min(gatheredBytesMax, Math.max(bytes, 2 * this.#buffer.length, firstBytes));
    if (!this.#mayHold(size)) return;
    const larger = Buffer.alloc(size);
    this.#buffer.copy(larger, 0, 0, this.#bytes);
    this.#buffer = larger;
  }

  #mayHold(bytes: number): boolean {
    try {
      this.#reserve(Math.max(0, bytes - this.#reserved));
      this.#reserved = Math.max(this.#reserved, bytes);
      return true;
    } catch (error) {
      if (isAppError(error, 'exhausted')) return false;
      throw error;
    }
  }
}
