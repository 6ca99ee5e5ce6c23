/** Follows a machine's console output. */
import { linkedAbort } from './abort.ts';
import { requestOf } from './call.ts';
import { clientErrorCodes, FlotillaError } from './errors.ts';
import { operationTable } from './generated/operations.ts';
import { openStream, type StreamOptions, silenceGuard } from './stream.ts';
import type { Transport } from './transport.ts';

export interface FollowConsoleOptions extends StreamOptions {
  /** How many earlier lines to start with. Default: the server's. */
  readonly lines?: number | undefined;
  /** Whether each line begins with the time at which the daemon saw it. Default: no. */
  readonly timestamps?: boolean | undefined;
}

/**
 * The console sends no heartbeats. Shorter than the 300 s after which Node's fetch gives up with a less clear
 * error.
 */
const silenceMsDefault = 240_000;

/**
 * Yields text, split between characters anywhere, until the machine stops. Throws a FlotillaError: the
 * server's refusal, `UNREACHABLE` when the connection breaks, `CLIENT_TIMEOUT` when the console is silent for
 * `silenceMs` (default 240 s). Leaving the loop early closes the connection. Nothing is sent before the first
 * `next()`.
 */
export async function* followConsole(
  transport: Transport,
  id: string,
  options: FollowConsoleOptions,
): AsyncGenerator<string, void, undefined> {
  const connection = linkedAbort(options.signal);
  try {
    const { lines, timestamps } = options;
    const query = { lines, timestamps, follow: true } as const;
    const call = requestOf('getMachineConsole', { path: { id }, query });
    const body = await openStream(
      transport,
      call,
      operationTable.getMachineConsole.stream,
      options,
      connection,
    );
    const read = silenceGuard(body.getReader(), connection, options.silenceMs ?? silenceMsDefault);
    const decoder = new TextDecoder();
    try {
      for (let chunk = await read(); chunk !== null; chunk = await read()) {
        const text = decoder.decode(chunk, { stream: true });
        if (text !== '') yield text;
      }
    } catch (error) {
      options.signal?.throwIfAborted();
      throw connection.signal.aborted ? silent(connection.signal.reason) : transport.unreachable(error);
    }
  } finally {
    connection.release();
    connection.abort(new Error('the reader left the stream'));
  }
}

function silent(reason: unknown): FlotillaError {
  const message = reason instanceof Error ? reason.message : String(reason);
  return new FlotillaError({ status: 0, code: clientErrorCodes.timeout, message });
}
