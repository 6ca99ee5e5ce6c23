/** Streamed answers, with two limits: the time until the answer begins, and the silence between chunks. */
import { type LinkedAbort, startTimer } from './abort.ts';
import { clientErrorCodes, FlotillaError } from './errors.ts';
import { badResponse, type Call, type CallOptions, type Transport } from './transport.ts';

export interface StreamOptions extends CallOptions {
  /** How long the server may send nothing, not even a heartbeat, before the stream counts as broken. */
  readonly silenceMs?: number | undefined;
}

export const silenceMsDefault = 90_000;
const openTimeoutMs = 60_000;

/**
 * Opens a stream and returns the answer's body. Throws the server's refusal, `CLIENT_TIMEOUT` when the answer
 * does not begin within `timeoutMs` (default 60 s), and `BAD_RESPONSE` for another media type.
 */
export async function openStream(
  transport: Transport,
  call: Call,
  mediaType: string,
  options: CallOptions,
  connection: LinkedAbort,
): Promise<ReadableStream<Uint8Array>> {
  const ms = options.timeoutMs ?? openTimeoutMs;
  const late = () =>
    new FlotillaError({
      status: 0,
      code: clientErrorCodes.timeout,
      message: `${call.method} ${call.path} did not begin to answer within ${Math.round(ms / 1000)} s`,
    });
  const stopTimer = startTimer(ms, () => connection.abort(late()));
  const asked: Call = { ...call, accept: mediaType };
  const response = await transport.open(asked, connection.signal).finally(stopTimer);
  const type = response.headers.get('content-type') ?? '';
  if (!type.startsWith(mediaType) || response.body === null) {
    throw badResponse(`asked for ${mediaType}, got '${type}'`);
  }
  return response.body;
}

/**
 * Limits two things: a single silence, and the total time spent waiting for the server. Time that the caller
 * spends between reads counts for neither. When a limit passes, the connection is aborted with the reason.
 */
export function silenceGuard(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  connection: LinkedAbort,
  silenceMs: number,
  budgetMs: number = Number.POSITIVE_INFINITY,
): () => Promise<Uint8Array | null> {
  let leftMs = budgetMs;
  return async () => {
    const begun = performance.now();
    const ms = Math.min(silenceMs, leftMs);
    const reason = new Error(`the server sent nothing for ${Math.round(ms / 1000)} s`);
    const stopTimer = startTimer(ms, () => connection.abort(reason));
    try {
      const { value } = await reader.read();
      return value ?? null;
    } finally {
      stopTimer();
      leftMs -= performance.now() - begun;
    }
  };
}
