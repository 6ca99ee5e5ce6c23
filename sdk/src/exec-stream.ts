/**
 * Streams a command's output.
 *
 * Once the server has answered 200, the stream yields output in order and ends with exactly one `outcome`. If
 * the connection breaks, the server falls silent or a line cannot be parsed, the outcome is `unknown` with
 * the reason. Only the caller's own abort throws. Leaving the loop early closes the connection, which kills
 * the command in the guest. A slow reader slows the command down (backpressure).
 */
import { linkedAbort } from './abort.ts';
import { decodeBase64, encodeBase64 } from './base64.ts';
import { requestOf } from './call.ts';
import { isRecord, reasonOf } from './errors.ts';
import { operationTable } from './generated/operations.ts';
import { readNdjson } from './ndjson.ts';
import { openStream, type StreamOptions, silenceGuard, silenceMsDefault } from './stream.ts';
import { invalidArgument, type Transport } from './transport.ts';
import type { ExecEvent, ExecOutcome, ExecRequest, WireExec } from './types.ts';

/** The server's own default for `timeout`. */
export const execTimeoutSecondsDefault = 30;
/** How much longer than the command's timeout the server may take to report the outcome. */
const graceMs = 60_000;

/**
 * Converts a request to its wire form. Throws FlotillaError `INVALID_ARGUMENT` for a stdin that is neither
 * text nor bytes.
 */
export function execBody(request: ExecRequest): WireExec {
  const { stdin, ...rest } = request;
  return stdin === undefined ? rest : { ...rest, stdin: encodeBase64(stdinBytes(stdin)) };
}

/** JavaScript callers are not checked by the types. */
function stdinBytes(stdin: unknown): Uint8Array {
  if (typeof stdin === 'string') return new TextEncoder().encode(stdin);
  if (stdin instanceof Uint8Array) return stdin;
  throw invalidArgument('stdin is neither a string nor a Uint8Array');
}

/** Nothing is sent before the first `next()`. */
export async function* streamExec(
  transport: Transport,
  id: string,
  request: ExecRequest,
  options: StreamOptions,
): AsyncGenerator<ExecEvent, void, undefined> {
  const connection = linkedAbort(options.signal);
  try {
    const call = requestOf('execInMachine', { path: { id }, body: execBody(request) });
    const mediaType = operationTable.execInMachine.stream;
    const body = await openStream(transport, call, mediaType, options, connection);
    const budgetMs = (request.timeout ?? execTimeoutSecondsDefault) * 1000 + graceMs;
    const read = silenceGuard(body.getReader(), connection, options.silenceMs ?? silenceMsDefault, budgetMs);
    let isLost = false;
    const noticing = () =>
      read().catch((error: unknown) => {
        isLost = true;
        throw error;
      });
    try {
      for await (const value of readNdjson(noticing)) {
        const event = parseEvent(value);
        if (event === null) continue;
        yield event;
        if (event.type === 'outcome') return;
      }
      yield unknown('the connection ended before the outcome was reported', true);
    } catch (error) {
      options.signal?.throwIfAborted();
      yield unknown(reasonOf(connection.signal.aborted ? connection.signal.reason : error), isLost);
    }
  } finally {
    connection.release();
    connection.abort(new Error('the reader left the stream'));
  }
}

function unknown(reason: string, isLost: boolean): ExecEvent {
  return { type: 'outcome', outcome: 'unknown', reason, ...(isLost ? { connection_lost: true } : {}) };
}

/** The exit code when the server does not tell the signal's number. */
const signalledCode = 128;

/**
 * Returns null for heartbeats and for events of newer servers; throws when a known event lacks a required
 * field.
 */
function parseEvent(value: unknown): ExecEvent | null {
  if (!isRecord(value)) throw new TypeError('an event that is not an object');
  const { type, offset, data } = value;
  if (type === 'outcome') return { type, ...parseOutcome(value) };
  if (type !== 'stdout' && type !== 'stderr') return null;
  const bytes = typeof data === 'string' ? decodeBase64(data) : null;
  if (bytes === null) throw new TypeError(`${type} without base64 data`);
  if (typeof offset !== 'number') throw new TypeError(`${type} without an offset`);
  return { type, offset, data: bytes };
}

function parseOutcome(value: Readonly<Record<string, unknown>>): ExecOutcome {
  const { outcome, exit_code: exitCode, signal, reason } = value;
  if (outcome === 'exited' && Number.isInteger(exitCode)) return { outcome, exit_code: Number(exitCode) };
  if (outcome === 'signalled' && typeof signal === 'string')
    return { outcome, signal, exit_code: Number.isInteger(exitCode) ? Number(exitCode) : signalledCode };
  if (outcome === 'timed_out') return { outcome };
  if (outcome === 'unknown') {
    return { outcome, reason: typeof reason === 'string' ? reason : 'the server gave no reason' };
  }
  throw new TypeError('an outcome without a known kind');
}
