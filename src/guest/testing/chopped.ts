/** Carriers that split data at arbitrary places, for tests of parsers. */
import { Duplex } from 'node:stream';

/** A pair of carriers that split the data into pieces of the given sizes, repeatedly. */
export function choppedPair(sizes: readonly number[]): readonly [Duplex, Duplex] {
  const ends: [Duplex, Duplex] = [new ChoppedEnd(sizes), new ChoppedEnd(sizes)];
  const [a, b] = ends as [ChoppedEnd, ChoppedEnd];
  a.peer = b;
  b.peer = a;
  return ends;
}

class ChoppedEnd extends Duplex {
  peer: ChoppedEnd | null = null;
  readonly #sizes: readonly number[];
  #next = 0;
  #resume: (() => void) | null = null;

  constructor(sizes: readonly number[]) {
    super();
    this.#sizes = sizes;
  }

  override _read(): void {
    const resume = this.#resume;
    this.#resume = null;
    resume?.();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#deliver(chunk, done);
  }

  override _final(done: () => void): void {
    this.peer?.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const { peer } = this;
    if (peer !== null && !peer.destroyed) process.nextTick(() => peer.destroy());
    done(error);
  }

  #deliver(chunk: Buffer, done: () => void): void {
    const { peer } = this;
    let rest = chunk;
    while (rest.length > 0 && peer !== null && !peer.destroyed) {
      const size = this.#sizes[this.#next % this.#sizes.length] ?? rest.length;
      this.#next += 1;
      const piece = Buffer.from(rest.subarray(0, size));
      rest = rest.subarray(size);
      if (!peer.push(piece) && rest.length > 0) {
        peer.#resume = () => this.#deliver(rest, done);
        return;
      }
    }
    done();
  }
}
