/** QMP's wire format: one JSON object per line. Pure: bytes to lines, lines to messages. */

export type QmpMessage =
  | { readonly kind: 'greeting'; readonly version: string }
  | { readonly kind: 'return'; readonly id: number | null; readonly value: unknown }
  | { readonly kind: 'error'; readonly id: number | null; readonly description: string }
  | { readonly kind: 'event'; readonly name: string; readonly data: Readonly<Record<string, unknown>> };

/** The other end does not speak QMP; the connection is unusable. */
export class QmpProtocolError extends Error {
  override readonly name = 'QmpProtocolError';
}

/** Splits a byte stream into lines; throws QmpProtocolError at a line over the limit. */
export class LineReader {
  readonly #lineBytesMax: number;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax;
  }

  /** The lines that `chunk` completes, without line ends; empty lines are omitted. */
  push(chunk: Buffer): readonly string[] {
    const lines: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      this.#keep(chunk.subarray(start, end));
      const line = Buffer.concat(this.#chunks).toString('utf8').trim();
      this.#chunks = [];
      this.#bytes = 0;
      if (line !== '') lines.push(line);
      start = end + 1;
    }
    this.#keep(chunk.subarray(start));
    return lines;
  }

  #keep(part: Buffer): void {
    this.#bytes += part.length;
    if (this.#bytes > this.#lineBytesMax)
      throw new QmpProtocolError(`a line of more than ${this.#lineBytesMax} bytes`);
    if (part.length > 0) this.#chunks.push(part);
  }
}

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object in `value[key]`, or an empty object. */
export function objectAt(value: unknown, key: string): JsonObject {
  const found = isObject(value) ? value[key] : undefined;
  return isObject(found) ? found : {};
}

/** Parses a line as a message; throws QmpProtocolError when it is invalid. */
export function parseQmpMessage(line: string): QmpMessage {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new QmpProtocolError('a line that is not JSON', { cause });
  }
  if (!isObject(value)) throw new QmpProtocolError('a line that is not an object');
  const id = typeof value.id === 'number' ? value.id : null;
  if (isObject(value.QMP)) {
    const { major, minor, micro } = objectAt(objectAt(value.QMP, 'version'), 'qemu');
    return { kind: 'greeting', version: [major, minor, micro].map(Number).join('.') };
  }
  if (typeof value.event === 'string')
    return { kind: 'event', name: value.event, data: objectAt(value, 'data') };
  if ('return' in value) return { kind: 'return', id, value: value.return };
  if (isObject(value.error)) {
    const description = value.error.desc;
    return {
      kind: 'error',
      id,
      description: typeof description === 'string' ? description : 'no reason given',
    };
  }
  throw new QmpProtocolError('an object that is not a QMP message');
}
