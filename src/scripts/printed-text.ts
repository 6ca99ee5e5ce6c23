/**
 * Text that a script prints, in memory that two threads share: the script's thread adds to it, and the daemon
 * reads it once the script has ended or was killed. Adding costs the daemon nothing, however much is printed.
 */

/** Two words before the text: its length, and whether text was dropped. */
const headBytes = 8;
const lengthAt = 0;
const isTruncatedAt = 1;
const lineBreak = 0x0a;

export class PrintedText {
  readonly memory: SharedArrayBuffer;
  readonly #head: Int32Array;
  readonly #bytes: Uint8Array;

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
    this.#head = new Int32Array(memory, 0, headBytes / Int32Array.BYTES_PER_ELEMENT);
    this.#bytes = new Uint8Array(memory, headBytes);
  }

  static ofSize(bytesMax: number): PrintedText {
    return new PrintedText(new SharedArrayBuffer(headBytes + bytesMax));
  }

  /** Adds a line. After the first one that does not fit, everything is dropped. */
  add(line: Uint8Array): void {
    if (this.isTruncated) return;
    const length = Atomics.load(this.#head, lengthAt);
    const room = this.#bytes.length - length;
    this.#bytes.set(line.subarray(0, room), length);
    if (line.length < room) this.#bytes[length + line.length] = lineBreak;
    else Atomics.store(this.#head, isTruncatedAt, 1);
    Atomics.store(this.#head, lengthAt, length + Math.min(line.length + 1, room));
  }

  get isTruncated(): boolean {
    return Atomics.load(this.#head, isTruncatedAt) === 1;
  }

  /** Without the beginning of a character whose rest was dropped. */
  text(): string {
    const bytes = this.#bytes.slice(0, Atomics.load(this.#head, lengthAt));
    return new TextDecoder().decode(new Uint8Array(bytes), { stream: true });
  }
}
