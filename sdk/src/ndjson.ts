/**
 * Parses newline-delimited JSON from a byte stream whose chunks may end anywhere, even inside a character.
 */

/** A longer line is an error. The API's longest line, a chunk of output, is about 100 KiB. */
export const lineBytesMax = 4 * 1024 * 1024;

const newline = 0x0a;

/** Splits bytes into lines. Buffers at most one unfinished line of `bytesMax`; drops empty lines. */
export class LineSplitter {
  readonly #bytesMax: number;
  #pieces: Uint8Array[] = [];
  #held = 0;

  constructor(bytesMax: number = lineBytesMax) {
    this.#bytesMax = bytesMax;
  }

  /** Returns the lines that `chunk` completes. Throws RangeError for a line longer than allowed. */
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

  /** Returns the last line if the bytes did not end in a newline. */
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

/**
 * Yields the values of an NDJSON stream until `read` returns null. Throws when a line is too long or not
 * JSON.
 */
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
