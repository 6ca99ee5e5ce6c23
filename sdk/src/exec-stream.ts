/**
 * A command's output as it comes.
 *
 * Once the server has answered 200 the stream yields output in order and ends with exactly one `outcome`, whatever
 * happens: a connection that breaks, a server that falls silent and a line that cannot be read all end as `unknown`
 * with the reason. Only the caller's own abort throws. Leaving the loop early closes the connection, which kills the
 * command in the guest; a slow reader slows the command down, nothing else.
 */
import { type LinkedAbort, linkedAbort } from './abort.ts';
import { decodeBase64, encodeBase64 } from './base64.ts';
import { clientErrorCodes, FlotillaError, isRecord, reasonOf } from './errors.ts';
import { readNdjson } from './ndjson.ts';
import { machinePath } from './paths.ts';
import { badResponse, type Call, type CallOptions, type Transport } from './transport.ts';
import type { ExecEvent, ExecOutcome, ExecRequest } from './types.ts';

export interface ExecStreamOptions extends CallOptions {
  /** How long the server may send nothing, not even a heartbeat, before the outcome counts as unknown. */
  readonly silenceMs?: number | undefined;
}

const mediaType = 'application/x-ndjson';
/** The server's own default for `timeout`. */
export const execTimeoutSecondsDefault = 30;
const openTimeoutMs = 60_000;
const silenceMsDefault = 90_000;
/** What the server may take beyond the command's own timeout to say that it passed. */
const graceMs = 60_000;

/** The wire form of a request. */
export function execBody(request: ExecRequest): Readonly<Record<string, unknown>> {
  const { stdin, ...rest } = request;
  return stdin === undefined ? rest : { ...rest, stdin: encodeBase64(stdin) };
}

/** Nothing is sent before the first `next()`. */
export async function* streamExec(
  transport: Transport,
  id: string,
  request: ExecRequest,
  options: ExecStreamOptions,
): AsyncGenerator<ExecEvent, void, undefined> {
  const connection = linkedAbort(options.signal);
  try {
    const body = await openStream(transport, id, request, options, connection);
    const budgetMs = (request.timeout ?? execTimeoutSecondsDefault) * 1000 + graceMs;
    const read = silenceGuard(body.getReader(), connection, options.silenceMs ?? silenceMsDefault, budgetMs);
    try {
      for await (const value of readNdjson(read)) {
        const event = parseEvent(value);
        if (event === null) continue;
        yield event;
        if (event.type === 'outcome') return;
      }
      yield unknown('the connection ended before the outcome was reported');
    } catch (error) {
      options.signal?.throwIfAborted();
      yield unknown(reasonOf(connection.signal.aborted ? connection.signal.reason : error));
    }
  } finally {
    connection.release();
    connection.abort(new Error('the stream was left'));
  }
}

async function openStream(
  transport: Transport,
  id: string,
  request: ExecRequest,
  options: ExecStreamOptions,
  connection: LinkedAbort,
): Promise<ReadableStream<Uint8Array>> {
  const call: Call = {
    method: 'POST',
    path: `${machinePath(id)}/exec`,
    body: execBody(request),
    accept: mediaType,
  };
  const ms = options.timeoutMs ?? openTimeoutMs;
  const late = () =>
    new FlotillaError({
      status: 0,
      code: clientErrorCodes.timeout,
      message: `the command was not started within ${Math.round(ms / 1000)} s`,
    });
  const timer = setTimeout(() => connection.abort(late()), ms);
  const response = await transport.open(call, connection.signal).finally(() => clearTimeout(timer));
  const type = response.headers.get('content-type') ?? '';
  if (!type.startsWith(mediaType) || response.body === null) {
    throw badResponse(`asked for ${mediaType}, got '${type}'`);
  }
  return response.body;
}

/**
 * Reads with two limits: on one silence, and on all the time spent waiting for the server. Time the caller takes
 * between reads counts for neither.
 */
function silenceGuard(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  connection: LinkedAbort,
  silenceMs: number,
  budgetMs: number,
): () => Promise<Uint8Array | null> {
  let leftMs = budgetMs;
  return async () => {
    const begun = performance.now();
    const ms = Math.min(silenceMs, leftMs);
    const reason = new Error(`the server said nothing for ${Math.round(ms / 1000)} s`);
    const timer = setTimeout(() => connection.abort(reason), Math.max(ms, 0));
    try {
      const { value } = await reader.read();
      return value ?? null;
    } finally {
      clearTimeout(timer);
      leftMs -= performance.now() - begun;
    }
  };
}

function unknown(reason: string): ExecEvent {
  return { type: 'outcome', outcome: 'unknown', reason };
}

/** Null for heartbeats and for kinds of a newer server; throws on a known kind that lacks what it must have. */
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
  if (outcome === 'signalled' && typeof signal === 'string') return { outcome, signal };
  if (outcome === 'timed_out') return { outcome };
  if (outcome === 'unknown') {
    return { outcome, reason: typeof reason === 'string' ? reason : 'the server gave no reason' };
  }
  throw new TypeError('an outcome that says nothing');
}
