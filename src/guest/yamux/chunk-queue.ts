/**
 * Smaller pieces are copied into shared blocks, so that a peer that sends single bytes does not cost an
 * object per byte.
 */
const keptBytesMin = 4096;
const blockBytes = 16 * 1024;

/**
 * A FIFO of bytes received and not yet read. Large pieces are kept as they are; small ones, and ones that
 * would keep a much larger chunk alive, are copied. So the memory used is at most twice the bytes queued,
 * plus one block. The stream's receive window limits the bytes.
 */
export class ChunkQueue {
  readonly #chunks: Buffer[] = [];
  #head = 0;
  #block: Buffer | null = null;
  #blockUsed = 0;
  #length = 0;

  /** Bytes queued. */
  get length(): number {
    return this.#length;
  }

  push(piece: Buffer): void {
    this.#length += piece.length;
    if (piece.length >= keptBytesMin && piece.length * 2 >= piece.buffer.byteLength) {
      this.#sealBlock({ isWaiting: true });
      this.#chunks.push(piece);
      return;
    }
    let offset = 0;
    while (offset < piece.length) {
      this.#block ??= Buffer.allocUnsafeSlow(blockBytes);
      const copied = piece.copy(this.#block, this.#blockUsed, offset);
      offset += copied;
      this.#blockUsed += copied;
      if (this.#blockUsed === blockBytes) this.#sealBlock({ isWaiting: true });
    }
  }

  /** The oldest contiguous bytes; null when the queue is empty. */
  shift(): Buffer | null {
    if (this.#head === this.#chunks.length) this.#sealBlock({ isWaiting: false });
    const chunk = this.#chunks[this.#head];
    if (chunk === undefined) return null;
    this.#head += 1;
    if (this.#head === this.#chunks.length) this.#clearRead();
    else if (this.#head >= 64) {
      this.#chunks.splice(0, this.#head);
      this.#head = 0;
    }
    this.#length -= chunk.length;
    return chunk;
  }

  clear(): void {
    this.#clearRead();
    this.#block = null;
    this.#blockUsed = 0;
    this.#length = 0;
  }

  #clearRead(): void {
    this.#chunks.length = 0;
    this.#head = 0;
  }

  /** A block that will wait in the queue frees its unused part. */
  #sealBlock({ isWaiting }: { readonly isWaiting: boolean }): void {
    if (this.#block === null) return;
    const used = this.#block.subarray(0, this.#blockUsed);
    this.#chunks.push(isWaiting && used.length * 2 < blockBytes ? copyOf(used) : used);
    this.#block = null;
    this.#blockUsed = 0;
  }
}

function copyOf(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}
