/** Lines of JSON on a stream: reading, writing, and making a guest's text safe to show. */
import { AppError } from '../core/errors.ts';
import { lineBytesMax } from './protocol.ts';

/** The readable part of a stream. */
export interface ByteSource {
  read(): Promise<Buffer | null>;
}

const lineFeed = 0x0a;

/**
 * Reads one line, without its newline, and the bytes received after it. Rejects with `guest` when the line is
 * too long or the source ends first.
 */
export async function readLine(
  source: ByteSource,
): Promise<{ readonly line: Buffer; readonly rest: Buffer }> {
  let chunks: Buffer[] = [];
  let bytes = 0;
  for (;;) {
    const chunk = await source.read();
    if (chunk === null) throw new AppError('guest', 'the guest ended the call without an answer');
    const index = chunk.indexOf(lineFeed);
    const end = index < 0 ? chunk.length : index;
    bytes += end;
    if (bytes >= lineBytesMax)
      throw new AppError('guest', `the guest sent a line of over ${lineBytesMax} bytes`);
    // Merges chunks, so that a guest that sends single bytes does not cost an object per byte.
    if (chunks.length === 32) chunks = [Buffer.concat(chunks)];
    chunks.push(chunk.subarray(0, end));
    if (index >= 0) return { line: joined(chunks), rest: chunk.subarray(index + 1) };
  }
}

function joined(chunks: readonly Buffer[]): Buffer {
  const [first] = chunks;
  return chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks);
}

/** A line of JSON; raises `invalid` when it is longer than the protocol allows. */
export function encodeLine(value: object): Buffer {
  const line = Buffer.from(`${JSON.stringify(value)}\n`);
  if (line.length > lineBytesMax)
    throw new AppError(
      'invalid',
      `the request is ${line.length} bytes long; the guest takes at most ${lineBytesMax}`,
      { hint: 'Larger input can go through standard input.' },
    );
  return line;
}

/** The JSON object in a guest's line; raises `guest` when it is invalid. */
export function parseLine(line: Buffer): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(line.toString('utf8'));
  } catch {
    throw new AppError('guest', 'the guest sent a line that is not JSON');
  }
  if (!isRecord(value)) throw new AppError('guest', 'the guest sent a line that is not a JSON object');
  return value;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Makes a guest's text safe to show: one line, no control characters, at most 500 characters. */
export function cleanWords(words: unknown): string {
  if (typeof words !== 'string') return '';
  return words
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .slice(0, 500)
    .trim();
}
