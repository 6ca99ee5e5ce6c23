/**
 * The beginning of what a command writes to one stream, for a buffered answer. What it holds is charged to the caller; it
 * holds less than the most where the caller may hold no more, and says so. The rest is read and dropped: a command
 * that has run must not fail for want of memory here.
 */
import { isAppError } from '../../../core/errors.ts';

/** What a buffered answer holds of each stream. */
export const gatheredBytesMax = 10 * 1024 * 1024;
/** Charged before the command runs, so that one whose output could not be held at all is refused instead. */
const firstBytes = 16 * 1024;
/** How much is made into text at a time. */
const pieceBytes = 64 * 1024;

export class Gathered {
  readonly #reserve: (bytes: number) => void;
  /** One buffer that grows: a list of what came would hold far more than it counts, when little comes at a time. */
  #buffer = Buffer.alloc(0);
  #reserved = firstBytes;
  #isTruncated = false;
  #bytes = 0;

  /** `reserve` charges memory, and raises `exhausted` where there is none; so does this constructor. */
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

  push(data: Uint8Array): void {
    // What came after a gap would look as if there were none.
    if (this.#isTruncated) return;
    this.#grow(Math.min(gatheredBytesMax, this.#bytes + data.length));
    const kept = data.subarray(0, this.#buffer.length - this.#bytes);
    this.#isTruncated = kept.length < data.length;
    this.#buffer.set(kept, this.#bytes);
    this.#bytes += kept.length;
  }

  text(bytesMax = this.#bytes): string {
    return this.#buffer.toString('utf8', 0, Math.min(bytesMax, this.#bytes));
  }

  /** The same, piece by piece. */
  *texts(): Generator<string> {
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    for (let from = 0; from < this.#bytes; from += pieceBytes) {
      const to = Math.min(from + pieceBytes, this.#bytes);
      yield decoder.decode(this.#buffer.subarray(from, to), { stream: to < this.#bytes });
    }
  }

  /** To `bytes`, or as far as the caller’s memory goes. */
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
