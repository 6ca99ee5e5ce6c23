/**
 * When the driver saw the output in one console file: a list of records `bytes before this offset appeared
 * between two looks`. Consoles keeps one per incarnation and saves it beside the file, so that the times
 * survive the daemon. Never guesses: what was not recorded lies between the looks around it.
 */
import type { Seen } from '../../core/ports/engine.ts';

/** Kept at most; then the records that lose least precision are merged. */
export const recordsMax = 4096;
/** Records merged at a time: a quarter, so that merging is rare. */
const mergedAtOnce = recordsMax / 4;

export class ConsoleTimes {
  /** Offsets in the file as it is now, ascending. */
  #records: Seen[];
  /** When the file was last looked at; null: unknown. */
  #lookedMs: number | null;
  #unsaved: Seen[] = [];
  #isRewritten = false;

  constructor(records: readonly Seen[] = []) {
    this.#records = [...records];
    this.#lookedMs = records.at(-1)?.atMs ?? null;
  }

  /** Of a file that is empty now. */
  static ofEmpty(nowMs: number): ConsoleTimes {
    const times = new ConsoleTimes([{ end: 0, sinceMs: null, atMs: nowMs }]);
    times.notSaved();
    return times;
  }

  /** Reads what `take` returned; without any times when the text is damaged. An incomplete last line is ignored. */
  static parse(text: string): ConsoleTimes {
    const records: Seen[] = [];
    for (const line of text.split('\n').slice(0, -1)) {
      const record = parseRecord(line);
      if (record === null || record.end < (records.at(-1)?.end ?? 0)) return new ConsoleTimes();
      records.push(record);
    }
    return new ConsoleTimes(records);
  }

  /** Records a look at the file. */
  look(sizeBytes: number, nowMs: number): void {
    const seenBytes = this.#records.at(-1)?.end ?? 0;
    // The VMM has truncated the file: its content is new.
    if (sizeBytes < seenBytes) this.#replace([]);
    if (sizeBytes !== seenBytes && sizeBytes > 0)
      this.#add({ end: sizeBytes, sinceMs: this.#lookedMs, atMs: nowMs });
    this.#lookedMs = nowMs;
  }

  /** The file lost bytes at its beginning. */
  trimmed(bytesGone: number): void {
    const left = this.#records.map((record) => ({ ...record, end: record.end - bytesGone }));
    const last = left.at(-1);
    // The last one stays, because it says when the file was looked at.
    this.#replace(left.filter((record) => record.end > 0 || record === last).map(notNegative));
  }

  /** The times of the bytes from `from` to `to`, with ends relative to `from`. Only for bytes that were looked at. */
  between(from: number, to: number): readonly Seen[] {
    const seen: Seen[] = [];
    for (const { end, sinceMs, atMs } of this.#records) {
      if (end <= from) continue;
      seen.push({ end: Math.min(end, to) - from, sinceMs, atMs });
      if (end >= to) break;
    }
    return seen;
  }

  /** What has to be saved: the whole text, or what is appended to it. Null: nothing. */
  take(): { readonly isWhole: boolean; readonly text: string } | null {
    const isWhole = this.#isRewritten;
    const records = isWhole ? this.#records : this.#unsaved;
    if (!isWhole && records.length === 0) return null;
    this.#isRewritten = false;
    this.#unsaved = [];
    return { isWhole, text: records.map(format).join('') };
  }

  /** What `take` returned was not saved: next time it returns everything. */
  notSaved(): void {
    this.#isRewritten = true;
  }

  #add(record: Seen): void {
    this.#records.push(record);
    this.#unsaved.push(record);
    if (this.#records.length > recordsMax) this.#replace(merge(this.#records));
  }

  #replace(records: Seen[]): void {
    this.#records = records;
    this.#unsaved = [];
    this.#isRewritten = true;
  }
}

function notNegative(record: Seen): Seen {
  return record.end < 0 ? { ...record, end: 0 } : record;
}

function format({ end, sinceMs, atMs }: Seen): string {
  return `${JSON.stringify([end, sinceMs, atMs])}\n`;
}

function parseRecord(line: string): Seen | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  if (!Array.isArray(value) || value.length !== 3) return null;
  const [end, sinceMs, atMs] = value as unknown[];
  const isTime = (time: unknown): time is number => Number.isSafeInteger(time);
  if (!isTime(end) || end < 0 || !isTime(atMs) || !(sinceMs === null || isTime(sinceMs))) return null;
  return { end, sinceMs, atMs };
}

/** Merges the pairs of neighbours that then span the shortest time, oldest first. */
function merge(records: readonly Seen[]): Seen[] {
  const width = (at: number) => {
    const since = records[at]?.sinceMs ?? Number.NEGATIVE_INFINITY;
    return (records[at + 1]?.atMs ?? Number.POSITIVE_INFINITY) - since;
  };
  const pairs = Array.from({ length: Math.floor(records.length / 2) }, (_, pair) => pair * 2);
  const merged = new Set(pairs.toSorted((one, other) => width(one) - width(other)).slice(0, mergedAtOnce));
  return records.flatMap((record, at) => {
    if (merged.has(at)) return [];
    const before = merged.has(at - 1) ? records[at - 1] : undefined;
    return [before === undefined ? record : { ...record, sinceMs: before.sinceMs }];
  });
}
