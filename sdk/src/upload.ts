/**
 * Uploads that may take any time. An upload is never retried and has no total deadline. Instead it ends when
 * nothing moves for a while: no piece of the body is sent and, after the last piece, no answer comes.
 */
import { linkedAbort, startTimer } from './abort.ts';
import { clientErrorCodes, FlotillaError } from './errors.ts';
import type { Call, CallOptions, Transport } from './transport.ts';

/** What can be uploaded. Browsers send streams only over HTTP/2; there, pass a Blob such as a File. */
export type UploadSource = ReadableStream<Uint8Array> | AsyncIterable<Uint8Array> | Blob;

export interface UploadOptions extends Pick<CallOptions, 'signal'> {
  /**
   * How long nothing may move. Default 280 s, because Node's fetch gives up 300 s after the last byte. A
   * Blob's progress cannot be observed, so it gets one more second per 64 KB.
   */
  readonly idleMs?: number | undefined;
}

const idleMsDefault = 280_000;
const blobBytesPerMs = 64;

/**
 * Returns the answer's JSON. Cancels the source when no more of it is needed. If the source failed, its error
 * is thrown.
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
    // The requested piece may arrive after the upload is over.
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
    // Whether the body was sent completely or not, the answer ends the upload. Do not wait for the source: it
    // may be what blocked.
    connection.abort(new Error('the upload is over'));
    void pieces?.stop().catch(() => undefined);
  }
}

interface State {
  isOver: boolean;
  /** The source's error. */
  thrown: { readonly reason: unknown } | null;
}

interface Pieces {
  /** Resolves with null at the end. */
  readonly next: () => Promise<Uint8Array | null>;
  /** Tells the source that no more is needed. */
  readonly stop: () => Promise<unknown>;
}

/** ReadableStream is not iterable in some browsers. */
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

/** Reads pieces as fast as they are sent; calls `onPiece` for each. */
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
