/**
 * Commands that outlive their caller: started, looked at, read from any cursor, written to, and ended by later calls.
 *
 *   const { id } = await client.execs.start('web', { command: ['make', 'all'] });
 *   for await (const event of client.execs.output('web', id, { follow: true })) console.log(event);
 *
 * A command lives as long as the boot of its machine.
 */
import { type LinkedAbort, linkedAbort } from './abort.ts';
import { call, requestOf } from './call.ts';
import { deadlinesMs } from './deadlines.ts';
import { clientErrorCodes, FlotillaError, isRecord } from './errors.ts';
import { parseOutcome, parseOutput } from './exec-events.ts';
import { execBody, stdinBytes } from './exec-stream.ts';
import { operationTable } from './generated/operations.ts';
import type { RestArguments } from './handle.ts';
import { readNdjson } from './ndjson.ts';
import { Reconnection, type ReconnectOptions } from './reconnection.ts';
import { openStream, type StreamOptions, silenceGuard, silenceMsDefault } from './stream.ts';
import { type AttachOptions, attachTerminal, type TerminalSession } from './terminal.ts';
import { badResponse, type CallOptions, type Transport } from './transport.ts';
import type { Exec, ExecList, ExecOutputEvent, ExecSize, StartExec, StartedExec } from './types.ts';
import { type UploadOptions, type UploadSource, upload } from './upload.ts';

export interface ExecOutputOptions extends StreamOptions, ReconnectOptions {
  /** The cursor to begin at. Default: 0, the command's first byte. */
  readonly from?: number | undefined;
  /** Only this stream. Default: both, in the order of writing. */
  readonly stream?: 'stdout' | 'stderr' | undefined;
  /** Goes on with new output until the command ends. Default: ends with `caught_up` at the end of what there is. */
  readonly follow?: boolean | undefined;
}

export interface ExecWaitOptions extends ReconnectOptions {
  readonly signal?: AbortSignal | undefined;
  /** Ends with `CLIENT_TIMEOUT`; the command runs on. Default: no limit. */
  readonly timeoutMs?: number | undefined;
}

export interface ExecWriteOptions extends UploadOptions {
  /** Ends the command's standard input afterwards. */
  readonly end?: boolean | undefined;
}

/** One long poll; the server answers within 30 s. */
const pollMs = 45_000;

/** All methods take a machine's id or name, and most the id of a command. */
export class Execs {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * Resolves as soon as the command has started and has taken its `stdin`. It has no time limit unless `timeout` is given.
   * Never sent twice: when an answer is lost, `list` shows whether the command runs.
   */
  async start(machine: string, request: StartExec, options?: CallOptions): Promise<StartedExec> {
    const given = { path: { id: machine }, body: { ...execBody(request), detach: true } };
    const answer = await call(this.#transport, 'execInMachine', given, deadlinesMs.write, options);
    if (!('id' in answer)) throw badResponse('the answer does not name the command');
    return answer;
  }

  /** Oldest first; ended ones are kept until they are deleted or their place is needed. */
  list(machine: string, options?: CallOptions): Promise<ExecList> {
    return call(this.#transport, 'listExecs', { path: { id: machine } }, deadlinesMs.read, options);
  }

  get(machine: string, eid: string, options?: CallOptions): Promise<Exec> {
    return call(this.#transport, 'getExec', pathOf(machine, eid), deadlinesMs.read, options);
  }

  /**
   * Yields output from a cursor on, and ends with the outcome, or with `caught_up`. A lost connection is made again at the
   * cursor, without a byte missing or doubled. Throws `CURSOR_EXPIRED` (410) when the output at the cursor is no longer kept.
   * The command waits for a slow reader; leaving the loop does not affect it.
   */
  async *output(
    machine: string,
    eid: string,
    options: ExecOutputOptions = {},
  ): AsyncGenerator<ExecOutputEvent, void, undefined> {
    const reconnection = new Reconnection(options);
    let cursor = options.from ?? 0;
    let wasConnected = false;
    for (;;) {
      const connection = linkedAbort(options.signal);
      try {
        const body = await this.#open(machine, eid, cursor, options, connection);
        wasConnected = true;
        for await (const event of this.#events(body, cursor, options, connection)) {
          reconnection.succeeded();
          if (event === null) continue;
          cursor = event.cursor;
          if (!('data' in event)) return yield event;
          if (options.stream === undefined || options.stream === event.type) yield event;
        }
        throw this.#transport.unreachable('the stream ended before the command did');
      } catch (error) {
        options.signal?.throwIfAborted();
        // A first attempt that fails says that the address is wrong, rather than that a connection was lost.
        if (!wasConnected) throw error;
        await reconnection.next(error, options.signal ?? never);
      } finally {
        connection.release();
        connection.abort(new Error('the reader left the stream'));
      }
    }
  }

  /** Resolves when the command has ended; waits again when the connection is lost. */
  async wait(machine: string, eid: string, options: ExecWaitOptions = {}): Promise<Exec> {
    const { signal = never, timeoutMs = Number.POSITIVE_INFINITY } = options;
    const reconnection = new Reconnection(options);
    const endMs = performance.now() + timeoutMs;
    for (;;) {
      const leftMs = endMs - performance.now();
      try {
        return await call(this.#transport, 'waitForExec', pathOf(machine, eid), Math.min(pollMs, leftMs), {
          signal,
        });
      } catch (error) {
        signal.throwIfAborted();
        if (performance.now() >= endMs) throw lateWait(eid, timeoutMs);
        if (error instanceof FlotillaError && error.status === 504) reconnection.succeeded();
        else await reconnection.next(error, signal);
      }
    }
  }

  /**
   * Passes on standard input, as fast as the command reads it, and resolves when the guest has all of it. Only for commands
   * that were started with `stdin_open`. Never retried, and without a total deadline: see `upload.ts`.
   */
  async write(
    machine: string,
    eid: string,
    data: string | Uint8Array | UploadSource,
    { end, ...options }: ExecWriteOptions = {},
  ): Promise<void> {
    const request = requestOf('feedExec', { ...pathOf(machine, eid), query: { end } });
    const isSource = typeof data === 'object' && !(data instanceof Uint8Array);
    const source = isSource ? data : new Blob([stdinBytes(data) as Uint8Array<ArrayBuffer>]);
    await upload(this.#transport, request, source, operationTable.feedExec.takes, options);
  }

  /** Talks with a command, from a cursor of its output on; see `terminal.ts`. */
  attach(machine: string, eid: string, options?: AttachOptions): Promise<TerminalSession> {
    return attachTerminal(this.#transport, machine, eid, options);
  }

  /** Changes the size of a terminal, in characters. */
  resize(machine: string, eid: string, size: ExecSize, options?: CallOptions): Promise<void> {
    const given = { ...pathOf(machine, eid), body: size };
    return call(this.#transport, 'resizeExec', given, deadlinesMs.write, options);
  }

  /** Sends a signal such as `TERM` to the command's process group. */
  signal(machine: string, eid: string, signal: string, options?: CallOptions): Promise<void> {
    const given = { ...pathOf(machine, eid), body: { signal } };
    return call(this.#transport, 'signalExec', given, deadlinesMs.write, options);
  }

  /** Ends the command and everything it started, if it still runs, and drops its output. */
  delete(machine: string, eid: string, options?: CallOptions): Promise<void> {
    return call(this.#transport, 'deleteExec', pathOf(machine, eid), deadlinesMs.delete, options);
  }

  /** Asks for both streams, because only those keep the cursor true. */
  #open(machine: string, eid: string, from: number, options: ExecOutputOptions, connection: LinkedAbort) {
    const query = { from, follow: options.follow };
    const request = requestOf('getExecOutput', { ...pathOf(machine, eid), query });
    return openStream(this.#transport, request, operationTable.execInMachine.stream, options, connection);
  }

  /** Null: a sign of life. */
  async *#events(
    body: ReadableStream<Uint8Array>,
    from: number,
    { silenceMs = silenceMsDefault }: ExecOutputOptions,
    connection: LinkedAbort,
  ): AsyncGenerator<ExecOutputEvent | null, void, undefined> {
    const read = silenceGuard(body.getReader(), connection, silenceMs);
    let cursor = from;
    try {
      for await (const value of readNdjson(read)) {
        const event = parseEvent(value, cursor);
        cursor = event?.cursor ?? cursor;
        yield event;
      }
    } catch (error) {
      throw this.#transport.unreachable(connection.signal.aborted ? connection.signal.reason : error);
    }
  }
}

/** The commands of one machine. */
export class MachineExecs {
  readonly #execs: Execs;
  readonly #id: string;

  constructor(execs: Execs, id: string) {
    this.#execs = execs;
    this.#id = id;
  }

  start = (...args: RestArguments<Execs['start']>) => this.#execs.start(this.#id, ...args);
  list = (...args: RestArguments<Execs['list']>) => this.#execs.list(this.#id, ...args);
  get = (...args: RestArguments<Execs['get']>) => this.#execs.get(this.#id, ...args);
  output = (...args: RestArguments<Execs['output']>) => this.#execs.output(this.#id, ...args);
  wait = (...args: RestArguments<Execs['wait']>) => this.#execs.wait(this.#id, ...args);
  write = (...args: RestArguments<Execs['write']>) => this.#execs.write(this.#id, ...args);
  attach = (...args: RestArguments<Execs['attach']>) => this.#execs.attach(this.#id, ...args);
  resize = (...args: RestArguments<Execs['resize']>) => this.#execs.resize(this.#id, ...args);
  signal = (...args: RestArguments<Execs['signal']>) => this.#execs.signal(this.#id, ...args);
  delete = (...args: RestArguments<Execs['delete']>) => this.#execs.delete(this.#id, ...args);
}

const never = new AbortController().signal;

function pathOf(machine: string, eid: string) {
  return { path: { id: machine, eid } };
}

/** Null for heartbeats and for events of newer servers. */
function parseEvent(value: unknown, reached: number): ExecOutputEvent | null {
  if (isRecord(value) && value.type === 'outcome')
    return { type: 'outcome', ...parseOutcome(value), cursor: reached };
  if (isRecord(value) && value.type === 'caught_up') return { type: 'caught_up', cursor: reached };
  const output = parseOutput(value);
  if (output === null) return null;
  const { type, data, offset, cursor } = output;
  if (typeof cursor !== 'number') throw new TypeError(`${type} without a cursor`);
  return { type, data, offset: typeof offset === 'number' ? offset : null, cursor };
}

function lateWait(eid: string, ms: number): FlotillaError {
  const message = `command ${eid} did not end within ${Math.round(ms / 1000)} s; it runs on`;
  return new FlotillaError({ status: 0, code: clientErrorCodes.timeout, message });
}
