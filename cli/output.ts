/** Text for people: tables, ages, colours on a terminal; and writing that waits for a slow reader. */
import type { Writable } from 'node:stream';
import { styleText } from 'node:util';
import { soleSentence } from '../src/lib/sentence.ts';
import { wrapped } from '../src/lib/wrap.ts';

/** Writes, and resolves when more may be written; rejects with the signal's reason when that aborts first. */
export async function write(stream: Writable, data: string | Uint8Array, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (stream.write(data)) return;
  await waitFor(stream, 'drain', signal);
}

/** Resolves when all that was written has been handed on, when the stream is gone, or when the signal aborts. */
export async function flush(stream: Writable, signal: AbortSignal): Promise<void> {
  if (stream.destroyed || stream.writableLength === 0 || signal.aborted) return;
  await new Promise<void>((resolve) => {
    stream.write('', () => resolve());
    stream.once('close', resolve);
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

async function waitFor(stream: Writable, event: 'drain', signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = () => reject(signal.reason);
  stream.once(event, resolve);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await promise;
  } finally {
    stream.off(event, resolve);
    signal.removeEventListener('abort', onAbort);
  }
}

/** An API object as JSON, one value; what a terminal might obey is escaped, which changes nothing for a parser. */
export function json(value: unknown): string {
  const text = JSON.stringify(value, null, 2);
  return `${text.replaceAll(/[\x7f-\x9f\p{Cf}]/gu, escaped)}\n`;
}

function escaped(character: string): string {
  const units = Array.from({ length: character.length }, (_, index) => character.charCodeAt(index));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
}

/** A name or an id on a line of its own. */
export function line(text: string): string {
  return `${printable(text).replaceAll('\n', ' ')}\n`;
}

/** Text from elsewhere with everything removed that would move a terminal's cursor or hide what is written. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}]/gu, (character) => (character === '\n' ? character : '\u{fffd}'));
}

/**
 * A filter for a guest's own text on its way to a terminal, piece by piece: lines and tabs stay, whatever else a terminal
 * would obey becomes U+FFFD. Line ends of serial consoles (CR LF) become those of files.
 */
export function terminalText(): (piece: string) => string {
  let held = '';
  return (piece) => {
    const text = (held + piece).replaceAll('\r\n', '\n');
    // Only what comes next says whether it ends a line.
    held = text.endsWith('\r') ? '\r' : '';
    const whole = held === '' ? text : text.slice(0, -1);
    return whole.replaceAll(/[^\t]+/g, printable);
  };
}

/** What is said to people beside a command's output: a failure, what to do about it, or something to know. */
export type Label = 'error' | 'hint' | 'note';

/** A text for people on lines of its own: `error: The name is taken`. Without a label the text alone. */
export function said(text: string, label?: Label): string {
  const begin = label === undefined ? '' : `${label}: `;
  return `${begin}${soleSentence(printable(text))}\n`;
}

/** A status in its colour; plain where stdout is no terminal or NO_COLOR is set. */
export function paintStatus(text: string, status: string): string {
  if (status === 'running' || status === 'succeeded') return styleText('green', text);
  if (status === 'failed') return styleText('red', text);
  return ['starting', 'stopping', 'undoing'].includes(status)
    ? styleText('yellow', text)
    : styleText('dim', text);
}

/**
 * Titles and values, one pair a line; pairs without a value are left out. Values are wrapped to `room`, the width of the
 * terminal. `paint` may colour a value.
 */
export function pairsText(
  pairs: readonly (readonly [title: string, value: string | null | undefined])[],
  room: number,
  paint: (text: string, title: string) => string = (text) => text,
): string {
  const width = 10;
  const valueRoom = Math.max(room - width, width);
  return pairs
    .filter(([, value]) => value !== null && value !== undefined && value !== '')
    .map(([title, value]) => {
      const lines = printable(value ?? '').split('\n');
      const text = lines.flatMap((each) => wrapped(each, valueRoom)).join(`\n${' '.repeat(width)}`);
      return `${title.padEnd(width)}${paint(text, title)}\n`;
    })
    .join('');
}

/** Labels as they are given on the command line, with commas between. */
export function labelsText(labels: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}

/** How long ago, in its largest whole unit: `45s`, `3m`, `2h`, `12d`. */
export function age(since: string, now: number): string {
  const seconds = Math.max(0, Math.floor((now - Date.parse(since)) / 1000));
  if (Number.isNaN(seconds)) return '-';
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

/** A time for people: to the second, in UTC. */
export function moment(time: string): string {
  return time.replace(/\.\d+(?=Z$)/, '');
}

/** The same, and how long ago that is. */
export function momentAgo(time: string, now: number): string {
  return `${moment(time)} (${age(time, now)} ago)`;
}

/** Bytes as people who wait for them say it: `12.3 MB`. */
export function megabytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** A number of bytes in its largest unit: `15 B`, `1.2 kB`, `12.3 MB`. */
export function byteCount(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(bytes || 1) / 3)));
  const digits = power === 0 ? 0 : 1;
  return `${(bytes / 1000 ** power).toFixed(digits)} ${units[power]}`;
}

/** How long something took: `0.3s`, `12s`, `3m 5s`, `2h 10m`, `12d 3h`. */
export function secondsText(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)}s`;
  const whole = Math.floor(seconds);
  const parts = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor(whole / 3600) % 24, 'h'],
    [Math.floor(whole / 60) % 60, 'm'],
    [whole % 60, 's'],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count}${unit}`)
    .join(' ');
}

/** MiB as people say it: `512 MiB`, `2 GiB`, `1.5 GiB`. */
export function mebibytes(count: number): string {
  return count < 1024 ? `${count} MiB` : `${Math.round((count / 1024) * 10) / 10} GiB`;
}
