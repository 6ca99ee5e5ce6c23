/**
 * Streams a command's output.
 *
 * Once the server has answered 200, the stream yields output in order and ends with exactly one `outcome`. If
 * the connection breaks, the server falls silent or a line cannot be parsed, the outcome is `unknown` with
 * the reason; the command goes on to its timeout. Only the caller's own abort throws. An abort, or leaving the loop early,
 * ends the command, unless `keep` is set. A slow reader slows the command down (backpressure).
 */
import { linkedAbort } from './abort.ts';
import { encodeBase64 } from './base64.ts';
import { requestOf } from './call.ts';
import { isRecord, reasonOf } from './errors.ts';
import { parseOutcome, parseOutput } from './exec-events.ts';
import { operationTable } from './generated/operations.ts';
import { readNdjson } from './ndjson.ts';
import { openStream, type StreamOptions, silenceGuard, silenceMsDefault } from './stream.ts';
import { invalidArgument, type Transport } from './transport.ts';
import type { ExecEvent, ExecRequest, StartExec, StartedExec, WireExec } from './types.ts';

export interface ExecStreamOptions extends StreamOptions {
  /** Called once, before any output, with the id by which `client.execs` knows the command. Older servers tell none. */
  readonly onStarted?: ((command: StartedExec) => void) | undefined;
  /** Leaves the command running, to its timeout, when this stream is left or aborted. */
  readonly keep?: boolean | undefined;
}

/** The server's own default for `timeout`. */
export const execTimeoutSecondsDefault = 30;
/** Limit for ending a command whose reader has left. */
const endTimeoutMs = 5_000;
/** How much longer than the command's timeout the server may take to report the outcome. */
const graceMs = 60_000;

/**
 * Converts a request to its wire form. Throws FlotillaError `INVALID_ARGUMENT` for a stdin that is neither
 * text nor bytes.
 */
export function execBody(request: ExecRequest | StartExec): WireExec {
  const { stdin, ...rest } = request;
  return stdin === undefined ? rest : { ...rest, stdin: encodeBase64(stdinBytes(stdin)) };
}

/** The bytes of an input. JavaScript callers are not checked by the types: throws `INVALID_ARGUMENT`. */
export function stdinBytes(stdin: unknown): Uint8Array {
  if (typeof stdin === 'string') return new TextEncoder().encode(stdin);
  if (stdin instanceof Uint8Array) return stdin;
  throw invalidArgument('stdin is neither a string nor a Uint8Array');
}

/** Nothing is sent before the first `next()`. */
export async function* streamExec(
  transport: Transport,
  id: string,
  request: ExecRequest | StartExec,
  options: ExecStreamOptions,
): AsyncGenerator<ExecEvent, void, undefined> {
  const connection = linkedAbort(options.signal);
  let started: string | null = null;
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
        const command = startedOf(value);
        if (command !== null) {
          started = options.keep === true ? null : command.id;
          options.onStarted?.(command);
        }
        const event = parseEvent(value);
        if (event === null) continue;
        if (event.type === 'outcome') started = null;
        yield event;
        if (event.type === 'outcome') return;
      }
      started = null;
      yield unknown('the connection ended before the outcome was reported', true);
    } catch (error) {
      options.signal?.throwIfAborted();
      started = null;
      yield unknown(reasonOf(connection.signal.aborted ? connection.signal.reason : error), isLost);
    }
  } finally {
    connection.release();
    connection.abort(new Error('the reader left the stream'));
    if (started !== null) await endCommand(transport, id, started);
  }
}

/** A command that outlives its connection. */
function startedOf(value: unknown): StartedExec | null {
  if (!isRecord(value) || value.type !== 'started') return null;
  const { id, machine_id, pid } = value;
  const isKnown = typeof id === 'string' && typeof machine_id === 'string' && typeof pid === 'number';
  return isKnown ? { id, machine_id, pid } : null;
}

/** Nobody waits for its outcome, and a server that cannot be reached ends it at its timeout. */
async function endCommand(transport: Transport, id: string, eid: string): Promise<void> {
  const call = requestOf('deleteExec', { path: { id, eid } });
  await transport.json(call, endTimeoutMs).catch(() => undefined);
}

function unknown(reason: string, isLost: boolean): ExecEvent {
  return { type: 'outcome', outcome: 'unknown', reason, ...(isLost ? { connection_lost: true } : {}) };
}

/**
 * Returns null for heartbeats and for events of newer servers; throws when a known event lacks a required
 * field.
 */
function parseEvent(value: unknown): ExecEvent | null {
  if (isRecord(value) && value.type === 'outcome') return { type: 'outcome', ...parseOutcome(value) };
  const output = parseOutput(value);
  if (output === null) return null;
  const { type, offset, data } = output;
  if (typeof offset !== 'number') throw new TypeError(`${type} without an offset`);
  return { type, offset, data };
}
