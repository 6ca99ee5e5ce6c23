/** A program between two streams, such as one that unpacks. */
import { createReadStream } from 'node:fs';
import { PassThrough, Readable, type Writable } from 'node:stream';

export interface FilterOptions {
  readonly stdin: Readable;
  readonly output: Writable;
  readonly signal: AbortSignal;
}

/**
 * What a program makes of `input`, as it comes. `start` runs it with the options it is given; why it fails shows where the
 * result is read. It is ended when nobody reads on.
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
    givenUp.abort(new Error('nobody reads on'));
    output.destroy();
    await ended;
  }
}

/** A part of a file, or all of it; both ends are included. */
export interface FileRange {
  readonly start: number;
  readonly end: number;
}

/**
 * A file's content. Opened when it is first read from: a stream that is aborted while nobody reads it would end the
 * process.
 */
export async function* fileChunks(
  path: string,
  signal: AbortSignal,
  range?: FileRange,
): AsyncIterable<Uint8Array> {
  yield* createReadStream(path, { ...range, highWaterMark: 1 << 20, signal }) as AsyncIterable<Buffer>;
}
