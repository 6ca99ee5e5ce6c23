/** One call about files whose content flows in one direction, in frames; part 4 of `protocol.ts`. */
import { AppError } from '../core/errors.ts';
import { type AnsweredCall, abortError, parseAnswer } from './calls.ts';
import { FramePump, uploadFrames } from './frame-pump.ts';
import { FrameReader } from './frames.ts';
import { frameTypes } from './protocol.ts';
import type { YamuxStream } from './yamux/stream.ts';

export interface TransferOptions {
  readonly signal: AbortSignal;
  /** How long the guest may let the transfer stand still. Infinity: it may be silent. */
  readonly idleMs: number;
}

type Results = Readonly<Record<string, unknown>>;

/** Resets the stream when `work`, which waits for the guest, takes too long. */
async function patiently<T>(
  { stream }: AnsweredCall,
  name: string,
  idleMs: number,
  work: Promise<T>,
): Promise<T> {
  if (!Number.isFinite(idleMs)) return work;
  const late = () =>
    stream.reset(new AppError('timeout', `the guest has not gone on with ${name} for ${idleMs} ms`));
  const timer = setTimeout(late, idleMs);
  try {
    return await work;
  } finally {
    clearTimeout(timer);
  }
}

function framesOf(call: AnsweredCall): FrameReader {
  return new FrameReader(call.stream, call.rest, {
    noun: 'a frame of a file',
    last: 'the end of the content',
    isKnown: (type) => type === frameTypes.data || type === frameTypes.end,
  });
}

export interface DownloadOptions extends TransferOptions {
  /** How many bytes the guest has announced. Absent: as many as come. */
  readonly length?: number;
}

/**
 * The guest's data, and then the results of its last frame. Iterated once; returning early ends the call, also before
 * the first piece. Written by hand, because a generator that was never started would not end it.
 */
export class Download implements AsyncIterableIterator<Buffer> {
  readonly #call: AnsweredCall;
  readonly #name: string;
  readonly #idleMs: number;
  readonly #frames: FrameReader;
  readonly #unbind: () => void;
  #left: number | null;
  #results: Results | null = null;
  #isOver = false;

  constructor(call: AnsweredCall, name: string, { signal, idleMs, length }: DownloadOptions) {
    this.#call = call;
    this.#name = name;
    this.#idleMs = idleMs;
    this.#left = length ?? null;
    this.#frames = framesOf(call);
    this.#unbind = bind(call.stream, name, signal);
  }

  /** Of the last frame; null before the end. */
  get results(): Results | null {
    return this.#results;
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Buffer> {
    return this;
  }

  async next(): Promise<IteratorResult<Buffer>> {
    if (this.#isOver) return { done: true, value: undefined };
    try {
      const next = await patiently(this.#call, this.#name, this.#idleMs, nextOf(this.#frames));
      if (Buffer.isBuffer(next)) return { done: false, value: this.#counted(next) };
      this.#results = parseAnswer(this.#name, next.end);
      if (this.#left !== null && this.#left > 0)
        throw new AppError('guest', 'the guest sent less of the file than it has');
    } catch (error) {
      this.#finish();
      throw error;
    }
    return this.return();
  }

  async return(): Promise<IteratorResult<Buffer>> {
    this.#finish();
    return { done: true, value: undefined };
  }

  #counted(piece: Buffer): Buffer {
    if (this.#left === null) return piece;
    this.#left -= piece.length;
    if (this.#left < 0) throw new AppError('guest', 'the guest sent more of the file than it has');
    return piece;
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#unbind();
    this.#call.stream.close(performance.now());
  }
}

async function nextOf(frames: FrameReader): Promise<Buffer | { readonly end: Buffer }> {
  const type = await frames.type();
  return type === frameTypes.data ? frames.piece() : { end: await frames.payload() };
}

/** Sends content and resolves with the results of the guest's last frame. The content's own failure is thrown. */
export async function upload(
  call: AnsweredCall,
  name: string,
  content: AsyncIterable<Uint8Array>,
  { signal, idleMs }: TransferOptions,
): Promise<Results> {
  const { stream } = call;
  const unbind = bind(stream, name, signal);
  const patient = {
    write: (data: Uint8Array) => patiently(call, name, idleMs, stream.write(data)),
  };
  const pump = new FramePump(patient, content, uploadFrames);
  const ended = lastFrame(framesOf(call), name);
  // Without its end the guest drops what it has got.
  const sent = pump.run().catch((error: Error) => stream.reset(error));
  try {
    const finished = sent.then(() => patiently(call, name, idleMs, ended));
    // The guest may refuse what is still being sent.
    return await Promise.race([ended, finished]);
  } finally {
    pump.stop();
    unbind();
    stream.close(performance.now());
  }
}

async function lastFrame(frames: FrameReader, name: string): Promise<Results> {
  if ((await frames.type()) !== frameTypes.end)
    throw new AppError('guest', `the guest sent data in answer to ${name}`);
  return parseAnswer(name, await frames.payload());
}

function bind(stream: YamuxStream, name: string, signal: AbortSignal): () => void {
  const onAbort = () => stream.reset(abortError(signal, name));
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return () => signal.removeEventListener('abort', onAbort);
}

/** The lines of a text that arrives in pieces. Throws `guest` when one is longer than `bytesMax`. */
export async function* linesOf(content: AsyncIterable<Buffer>, bytesMax: number): AsyncGenerator<Buffer> {
  let kept: Buffer = Buffer.alloc(0);
  for await (const piece of content) {
    kept = kept.length === 0 ? piece : Buffer.concat([kept, piece]);
    for (let end = kept.indexOf(0x0a); end >= 0; end = kept.indexOf(0x0a)) {
      if (end > bytesMax) throw tooLong();
      yield kept.subarray(0, end);
      kept = kept.subarray(end + 1);
    }
    if (kept.length > bytesMax) throw tooLong();
  }
  if (kept.length > 0) throw new AppError('guest', 'the guest sent a line without an end');
}

function tooLong(): AppError {
  return new AppError('guest', 'the guest sent a line that is too long');
}
