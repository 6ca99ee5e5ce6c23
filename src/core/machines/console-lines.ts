/**
 * Lines of a console: the last ones of a piece, and lines that begin with the time at which they were seen.
 * Pure. Called by Consoles; the bytes are the guest's and pass unchanged.
 */
import { timeText } from '../../lib/times.ts';
import type { ConsolePiece, Seen } from '../ports/engine.ts';

const newline = 0x0a;
/** A line that may be this much older than its time says so: much more than the time between two looks. */
const impreciseMs = 3_000;

/** The last lines of a text, including a final newline if there is one. */
export function lastLines(bytes: Uint8Array, lines: number): Uint8Array {
  let end = bytes.at(-1) === newline ? bytes.length - 1 : bytes.length;
  for (let left = lines; left > 0; left--) {
    if (end <= 0) return bytes;
    end = bytes.lastIndexOf(newline, end - 1);
    if (end < 0) return bytes;
  }
  return bytes.subarray(end + 1);
}

/** The last lines of a piece, with their times. */
export function lastLinesOf({ bytes, seen }: ConsolePiece, lines: number): ConsolePiece {
  const last = lastLines(bytes, lines);
  const gone = bytes.length - last.length;
  const left = seen.map((each) => ({ ...each, end: each.end - gone }));
  return { bytes: last, seen: left.filter(({ end }) => end > 0) };
}

/** Puts the time before each line of a console that is read in pieces. */
export class LineTimes {
  #isAtStart = true;

  /**
   * Returns the bytes of the next piece, in which each line that begins there begins with its time, as in
   * `2026-11-29T22:24:01.123Z login: `. A line seen late also says since when it may have been there.
   */
  add({ bytes, seen }: ConsolePiece): Uint8Array {
    const parts: Uint8Array[] = [];
    const times = new Cursor(seen);
    for (let from = 0; from < bytes.length; ) {
      const at = bytes.indexOf(newline, from);
      const end = at < 0 ? bytes.length : at + 1;
      if (this.#isAtStart) parts.push(times.prefixAt(from));
      parts.push(bytes.subarray(from, end));
      this.#isAtStart = at >= 0;
      from = end;
    }
    return Buffer.concat(parts);
  }
}

/** Finds the times of ascending positions. */
class Cursor {
  readonly #seen: readonly Seen[];
  #index = 0;
  #prefix: Uint8Array | null = null;

  constructor(seen: readonly Seen[]) {
    this.#seen = seen;
  }

  prefixAt(position: number): Uint8Array {
    while (this.#index < this.#seen.length - 1 && (this.#seen[this.#index]?.end ?? 0) <= position) {
      this.#index += 1;
      this.#prefix = null;
    }
    const seen = this.#seen[this.#index];
    // Pieces cover their bytes.
    if (seen === undefined) throw new Error(`a console piece has no time for byte ${position}`);
    this.#prefix ??= Buffer.from(prefix(seen));
    return this.#prefix;
  }
}

function prefix({ sinceMs, atMs }: Seen): string {
  const at = timeText(atMs);
  if (sinceMs === null) return `${at} [seen late] `;
  return atMs - sinceMs > impreciseMs ? `${at} [seen late, after ${timeText(sinceMs)}] ` : `${at} `;
}
