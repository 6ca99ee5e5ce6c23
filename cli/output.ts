/** Text for people: tables, ages, colours on a terminal; and writing that waits for a slow reader. */
import type { Writable } from 'node:stream';
import { styleText } from 'node:util';

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

/**
 * Begins with a capital, after `error: ` and its like too, unless the first word is a name: of a field, a command, a file.
 */
export function sentence(text: string): string {
  return text.replace(
    /^((?:error|hint|note): )?([a-z])(?=[a-z]*[ ,;’'])(?!lotilla )/,
    (_, kind = '', first: string) => {
      return `${kind}${first.toUpperCase()}`;
    },
  );
}

/** A status in its colour; plain where stdout is no terminal or NO_COLOR is set. */
export function paintStatus(text: string, status: string): string {
  if (status === 'running' || status === 'succeeded') return styleText('green', text);
  if (status === 'failed') return styleText('red', text);
  return ['starting', 'stopping', 'undoing'].includes(status)
    ? styleText('yellow', text)
    : styleText('dim', text);
}

/** Titles and values, one pair a line; pairs without a value are left out. `paint` may colour a value. */
export function pairsText(
  pairs: readonly (readonly [title: string, value: string | null | undefined])[],
  paint: (text: string, title: string) => string = (text) => text,
): string {
  const width = 10;
  return pairs
    .filter(([, value]) => value !== null && value !== undefined && value !== '')
    .map(([title, value]) => {
      const text = printable(value ?? '').replaceAll('\n', `\n${' '.repeat(width)}`);
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

/** MiB as people say it: `512 MiB`, `2 GiB`, `1.5 GiB`. */
export function mebibytes(count: number): string {
  return count < 1024 ? `${count} MiB` : `${Math.round((count / 1024) * 10) / 10} GiB`;
}
