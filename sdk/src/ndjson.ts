/**
 * Newline-delimited JSON from a stream of bytes whose chunks end anywhere, in the middle of a character too.
 */

/** Longer lines end the reading: nothing this API sends comes near (a chunk of output is at most some 100 KiB). */
export const lineBytesMax = 4 * 1024 * 1024;

const newline = 0x0a;

/**
 * Splits bytes into lines. What is held is one unfinished line of at most `bytesMax`; lines that are empty are
 * dropped.
 */
export class LineSplitter {
  readonly #bytesMax: number;
  #pieces: Uint8Array[] = [];
  #held = 0;

  constructor(bytesMax: number = lineBytesMax) {
    this.#bytesMax = bytesMax;
  }

  /** The lines that `chunk` completes. Throws RangeError when a line is longer than allowed. */
  push(chunk: Uint8Array): Uint8Array[] {
    const lines: Uint8Array[] = [];
    let from = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, from)) {
      this.#hold(chunk.subarray(from, end));
      from = end + 1;
      const line = this.finish();
      if (line !== null) lines.push(line);
    }
    this.#hold(chunk.subarray(from));
    return lines;
  }

  /** The last line, when the bytes did not end in a newline. */
  finish(): Uint8Array | null {
    const pieces = this.#pieces;
    const length = this.#held;
    this.#pieces = [];
    this.#held = 0;
    const [first] = pieces;
    if (first === undefined) return null;
    if (pieces.length === 1) return first;
    const line = new Uint8Array(length);
    let at = 0;
    for (const piece of pieces) {
      line.set(piece, at);
      at += piece.length;
    }
    return line;
  }

  #hold(piece: Uint8Array): void {
    if (piece.length === 0) return;
    this.#held += piece.length;
    if (this.#held > this.#bytesMax) throw new RangeError(`a line of more than ${this.#bytesMax} bytes`);
    this.#pieces.push(piece);
  }
}

/** The values of an NDJSON stream, read by `read` until it gives null. Throws when a line is too long or not JSON. */
export async function* readNdjson(
  read: () => Promise<Uint8Array | null>,
  bytesMax: number = lineBytesMax,
): AsyncGenerator<unknown, void, undefined> {
  const splitter = new LineSplitter(bytesMax);
  const decoder = new TextDecoder('utf-8', { fatal: true });
  for (let chunk = await read(); chunk !== null; chunk = await read()) {
    for (const line of splitter.push(chunk)) yield JSON.parse(decoder.decode(line));
  }
  const last = splitter.finish();
  if (last !== null) yield JSON.parse(decoder.decode(last));
}
