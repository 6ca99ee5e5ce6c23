/** The beginning of a stream of bytes, up to a limit, as text. The rest is dropped. */
export class CappedText {
  readonly #bytesMax: number;
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;
  #isTruncated = false;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Whether more was pushed than is kept. */
  get isTruncated(): boolean {
    return this.#isTruncated;
  }

  push(data: Uint8Array): void {
    const kept = data.subarray(0, this.#bytesMax - this.#bytes);
    if (kept.length < data.length) this.#isTruncated = true;
    if (kept.length === 0) return;
    this.#chunks.push(kept);
    this.#bytes += kept.length;
  }

  /** Bytes that are not UTF-8 become U+FFFD. */
  text(): string {
    return Buffer.concat(this.#chunks).toString('utf8');
  }
}
