/**
 * Sending bytes that may take any time: an upload is not repeated and has no deadline in all, but ends when nothing moves
 * for a while: when neither a piece of the body is taken nor, after the last one, an answer comes.
 */
import { linkedAbort, startTimer } from './abort.ts';
import { clientErrorCodes, FlotillaError } from './errors.ts';
import type { Call, CallOptions, Transport } from './transport.ts';

/** What can be uploaded. Browsers send streams over HTTP/2 only: give them a Blob, such as a File. */
export type UploadSource = ReadableStream<Uint8Array> | AsyncIterable<Uint8Array> | Blob;

export interface UploadOptions extends Pick<CallOptions, 'signal'> {
  /**
   * How long nothing may move; default 280 s, as Node's own fetch gives up 300 s after the last byte. Nobody sees how far a
   * Blob is, so it has a second more for each 64 KB.
   */
  readonly idleMs?: number | undefined;
}

const idleMsDefault = 280_000;
const blobBytesPerMs = 64;

/**
 * The answer's JSON. The source is told when no more of it is wanted. Throws what the source threw, when it was that which
 * ended the upload.
 */
export async function upload(
  transport: Transport,
  call: Call,
  source: UploadSource,
  mediaType: string,
  options: UploadOptions,
): Promise<unknown> {
  const idleMs = options.idleMs ?? idleMsDefault;
  const connection = linkedAbort(options.signal);
  const state: State = { isOver: false, thrown: null };
  let stopTimer: () => void = () => undefined;
  const giveMs = (ms: number) => {
    // A piece that was asked for may come when nobody waits for it any more.
    if (state.isOver) return;
    stopTimer();
    stopTimer = startTimer(ms, () => connection.abort(idle(call, ms)));
  };
  const pieces = source instanceof Blob ? null : piecesOf(source);
  const bytes = pieces === null ? (source as Blob) : streamOf(pieces, state, () => giveMs(idleMs));
  giveMs(idleMs + (bytes instanceof Blob ? bytes.size / blobBytesPerMs : 0));
  try {
    return await transport.once({ ...call, upload: { bytes, mediaType } }, connection.signal);
  } catch (error) {
    const isAnswered = !(error instanceof FlotillaError) || error.code !== clientErrorCodes.unreachable;
    if (state.thrown === null || isAnswered) throw error;
    throw state.thrown.reason;
  } finally {
    state.isOver = true;
    stopTimer();
    connection.release();
    // Whatever was answered before the end of the body, the rest of it is not wanted. Nobody waits for a source that
    // may be the reason why nothing moved.
    connection.abort(new Error('the upload is over'));
    void pieces?.stop().catch(() => undefined);
  }
}

interface State {
  isOver: boolean;
  /** What the source threw. */
  thrown: { readonly reason: unknown } | null;
}

interface Pieces {
  /** Null at the end. */
  readonly next: () => Promise<Uint8Array | null>;
  /** Tells the source that no more is wanted. */
  readonly stop: () => Promise<unknown>;
}

/** The streams of some browsers are no iterables. */
function piecesOf(source: ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>): Pieces {
  if (source instanceof ReadableStream) {
    const reader = source.getReader();
    return { next: async () => (await reader.read()).value ?? null, stop: () => reader.cancel() };
  }
  const iterator = source[Symbol.asyncIterator]();
  return {
    async next() {
      const { done, value } = await iterator.next();
      return done === true ? null : value;
    },
    stop: async () => iterator.return?.(),
  };
}

/** Read as fast as it is sent; `onPiece` is called for each piece. */
function streamOf(pieces: Pieces, state: State, onPiece: () => void): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const piece = await pieces.next().catch((reason: unknown) => {
          state.thrown = { reason };
          throw reason;
        });
        onPiece();
        if (piece === null) controller.close();
        else controller.enqueue(piece);
      },
    },
    { highWaterMark: 0 },
  );
}

function idle({ method, path }: Call, ms: number): FlotillaError {
  const message = `${method} ${path}: nothing moved for ${Math.round(ms / 1000)} s`;
  return new FlotillaError({ status: 0, code: clientErrorCodes.timeout, message });
}
