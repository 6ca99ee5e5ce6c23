/** How far a copy is, and how fast: the words of its progress line. */
import { megabytes } from '../output.ts';

const barWidth = 20;
/** The rate is that of the last seconds. */
const windowMs = 3_000;
/** Of a line that is drawn four times a second. */
const samplesMax = 64;

interface Sample {
  readonly atMs: number;
  readonly bytes: number;
}

export class Meter {
  readonly #verb: string;
  readonly #total: number | null;
  readonly #now: () => number;
  #samples: Sample[];
  #bytes = 0;

  /** `total` is null where nobody knows before the end. */
  constructor(verb: string, total: number | null, now: () => number = () => performance.now()) {
    this.#verb = verb;
    this.#total = total;
    this.#now = now;
    this.#samples = [{ atMs: now(), bytes: 0 }];
  }

  /** Counts what passes. */
  async *count(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
    for await (const piece of content) {
      this.#bytes += piece.length;
      yield piece;
    }
  }

  /** Example: `copying 12.3 MB of 20.0 MB [############........] 61 %, 8.1 MB/s`. */
  words(): string {
    const rate = `${megabytes(this.#rate())}/s`;
    const done = `${this.#verb} ${megabytes(this.#bytes)}`;
    if (this.#total === null || this.#total === 0) return `${done}, ${rate}`;
    // Headers are sent, too; holes are not.
    const part = Math.min(1, this.#bytes / this.#total);
    const full = Math.floor(part * barWidth);
    const bar = '#'.repeat(full) + '.'.repeat(barWidth - full);
    return `${done} of ${megabytes(this.#total)} [${bar}] ${Math.floor(part * 100)} %, ${rate}`;
  }

  /** Bytes a second. */
  #rate(): number {
    const atMs = this.#now();
    this.#samples.push({ atMs, bytes: this.#bytes });
    // The oldest one within the window is what the rate counts from.
    const from = this.#samples.findIndex((sample) => sample.atMs >= atMs - windowMs);
    this.#samples = this.#samples.slice(from).slice(-samplesMax);
    const [first = { atMs, bytes: this.#bytes }] = this.#samples;
    const ms = atMs - first.atMs;
    return ms <= 0 ? 0 : ((this.#bytes - first.bytes) * 1000) / ms;
  }
}
