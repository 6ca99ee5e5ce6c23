/** Pipes a stream through a program, for example a decompressor. */
import { createReadStream } from 'node:fs';
import { PassThrough, Readable, type Writable } from 'node:stream';

export interface FilterOptions {
  readonly stdin: Readable;
  readonly output: Writable;
  readonly signal: AbortSignal;
}

/**
 * Yields the program's output for `input` as it comes. `start` runs the program with the given options. A
 * failure is thrown where the output is read. The program is killed when the reader stops.
 */
export async function* filtered(
  input: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
  start: (options: FilterOptions) => Promise<unknown>,
): AsyncIterable<Buffer> {
  const output = new PassThrough({ highWaterMark: 1 << 20 });
  const givenUp = new AbortController();
  const ended = start({
    stdin: Readable.from(input, { objectMode: false }),
    output,
    signal: AbortSignal.any([signal, givenUp.signal]),
  }).then(
    () => void output.end(),
    (error: Error) => void output.destroy(error),
  );
  try {
    yield* output as AsyncIterable<Buffer>;
  } finally {
    givenUp.abort(new Error('the reader stopped'));
    output.destroy();
    await ended;
  }
}

/** A range of a file, both ends included; or the whole file. */
export interface FileRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Yields a file's content. The file is opened at the first read: Node ends the process when a stream is
 * aborted before anyone reads it.
 */
export async function* fileChunks(
  path: string,
  signal: AbortSignal,
  range?: FileRange,
): AsyncIterable<Uint8Array> {
  yield* createReadStream(path, { ...range, highWaterMark: 1 << 20, signal }) as AsyncIterable<Buffer>;
}
