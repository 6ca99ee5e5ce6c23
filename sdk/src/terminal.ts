/// <reference lib="esnext.disposable" preserve="true" />
/**
 * A command with which a program or a person talks: output as it comes, input, signals, and the size of its terminal.
 *
 *   await using terminal = await client.machines.terminal('web', { cols: 80, rows: 24 });
 *   await terminal.write('uname -r\nexit\n');
 *   for await (const { data } of terminal) process.stdout.write(data);
 *   console.log(await terminal.wait());
 *
 * A lost connection is made again, without a byte missing or doubled. Leaving does not end the command.
 */

import { linkedAbort, startTimer } from './abort.ts';
import { call } from './call.ts';
import { deadlinesMs } from './deadlines.ts';
import { Change, deferred } from './deferred.ts';
import { clientErrorCodes, FlotillaError } from './errors.ts';
import { type ConnectionListener, ExecConnection, type ServerMessage } from './exec-connection.ts';
import { parseOutcome } from './exec-events.ts';
import { stdinBytes } from './exec-stream.ts';
import { Reconnection, type ReconnectOptions } from './reconnection.ts';
import { type StreamOptions, silenceMsDefault } from './stream.ts';
import { TerminalInput } from './terminal-input.ts';
import type { CallOptions, Transport } from './transport.ts';
import type { ExecOutcome, WireExec } from './types.ts';

/** `timeoutMs` limits each handshake; the default is 30 s. Aborting `signal` leaves at once. */
export interface AttachOptions extends StreamOptions, ReconnectOptions {
  /** The cursor to begin at. Default: 0, the command's first byte. */
  readonly from?: number | undefined;
}

export interface TerminalOptions
  extends StreamOptions,
    ReconnectOptions,
    Pick<WireExec, 'cwd' | 'env' | 'user' | 'timeout'> {
  /** A string for `sh -c`, or a list as it is. Default: a login shell. */
  readonly command?: string | readonly string[] | undefined;
  /** The size of the terminal. Default: 80 by 24. */
  readonly cols?: number | undefined;
  readonly rows?: number | undefined;
  /** False: no terminal, so that standard output and error are apart. Default: true. */
  readonly tty?: boolean | undefined;
}

export interface TerminalSize {
  readonly cols: number;
  readonly rows: number;
}

/** A piece of output; everything that a terminal shows is `stdout`. */
export interface TerminalOutput {
  readonly stream: 'stdout' | 'stderr';
  readonly data: Uint8Array;
  /** Where the output continues after this piece. */
  readonly cursor: number;
}

const openMsDefault = 30_000;
const flushMs = 5_000;
/** Consumed output is acknowledged in pieces of this many bytes. */
const ackBytes = 64 * 1024;
const loginShell = ['sh', '-c', 'if [ -x /bin/bash ]; then exec /bin/bash -l; else exec sh -l; fi'];
const sizeDefault: TerminalSize = { cols: 80, rows: 24 };

/** Starts a command in a terminal. Rejects with the server's refusal; see `TerminalSession`. */
export function startTerminal(
  transport: Transport,
  machine: string,
  options: TerminalOptions = {},
): Promise<TerminalSession> {
  const { command = loginShell, cwd, env, user, timeout, tty = true } = options;
  const { cols = sizeDefault.cols, rows = sizeDefault.rows } = options;
  const argv = typeof command === 'string' ? ['sh', '-c', command] : [...command];
  const size = tty ? { cols, rows } : undefined;
  const first = { type: 'start', command: argv, cwd, env, user, timeout, tty: size };
  return new TerminalSession(transport, machine, options).begin(first, 0, null);
}

/** Attaches to a command that runs or has ended. */
export function attachTerminal(
  transport: Transport,
  machine: string,
  id: string,
  options: AttachOptions = {},
): Promise<TerminalSession> {
  const { from = 0 } = options;
  return new TerminalSession(transport, machine, options).begin({ type: 'attach', id, from }, from, id);
}

interface Piece extends TerminalOutput {
  readonly connection: ExecConnection | null;
}

/** Iterate it for the output: the command waits when 256 KiB of it are not consumed. */
export class TerminalSession implements AsyncIterable<TerminalOutput>, AsyncDisposable {
  readonly machine: string;
  readonly #transport: Transport;
  readonly #options: StreamOptions & ReconnectOptions;
  readonly #reconnection: Reconnection;
  readonly #life: ReturnType<typeof linkedAbort>;
  readonly #input = new TerminalInput();
  readonly #outcome = deferred<ExecOutcome>();
  readonly #begun = deferred<void>();
  #connection: ExecConnection | null = null;
  #id: string | null = null;
  /** Of what was received. */
  #cursor = 0;
  #pieces: Piece[] = [];
  /** Of this connection's bytes: consumed, and told to the server. */
  #consumed = 0;
  #acknowledged = 0;
  #size: TerminalSize | null = null;
  /** Why there is no more output; null in it: the command has ended, or the caller has left. */
  #end: { readonly error: unknown } | null = null;
  readonly #changed = new Change();

  /** Made by `startTerminal` and `attachTerminal`. */
  constructor(transport: Transport, machine: string, options: StreamOptions & ReconnectOptions) {
    this.#transport = transport;
    this.machine = machine;
    this.#options = options;
    this.#reconnection = new Reconnection(options);
    this.#life = linkedAbort(options.signal);
    // Those who do not wait need not handle it.
    this.#outcome.promise.catch(() => undefined);
  }

  /** Resolves when the command runs, or has ended. */
  async begin(first: object, from: number, id: string | null): Promise<this> {
    this.#cursor = from;
    this.#id = id;
    void this.#run(first);
    await this.#begun.promise;
    return this;
  }

  /** The command's id, for `client.execs`; null when the program could not be run. */
  get id(): string | null {
    return this.#id;
  }

  /** The output; ends when the command has ended. Throws when the connection cannot be made again. Leaving the loop changes nothing. */
  async *[Symbol.asyncIterator](): AsyncGenerator<TerminalOutput, void, undefined> {
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece !== undefined) {
        const { connection, ...output } = piece;
        try {
          yield output;
        } finally {
          this.#consume(connection, output.data.length);
        }
      } else if (this.#end === null) await this.#changed.next;
      else if (this.#end.error === null) return;
      else throw this.#end.error;
    }
  }

  /**
   * Sends input; text as UTF-8. Resolves when all of it is on its way: at most 256 KiB are unacknowledged. Rejects with
   * `CONFLICT` when the command has ended or takes no input.
   */
  async write(data: string | Uint8Array): Promise<void> {
    await this.#input.write(stdinBytes(data));
  }

  /** Ends standard input; at a terminal, this is what Ctrl-D does. */
  endInput(): Promise<void> {
    return this.#input.end();
  }

  /** Changes the terminal's size, in characters. */
  resize({ cols, rows }: TerminalSize): void {
    this.#size = { cols, rows };
    this.#connection?.send({ type: 'resize', cols, rows });
  }

  /**
   * Sends a signal such as `INT` to the command's process group; it never waits behind input. A request of its own, because
   * its answer says that the signal was sent.
   */
  async signal(signal: string, options?: CallOptions): Promise<void> {
    if (this.#id === null) return;
    const given = { path: { id: this.machine, eid: this.#id }, body: { signal } };
    await call(this.#transport, 'signalExec', given, deadlinesMs.write, options);
  }

  /** How the command ended. Somebody must read the output meanwhile. Rejects when the session ends before. */
  wait(): Promise<ExecOutcome> {
    return this.#outcome.promise;
  }

  /** Leaves, when the command has taken what was written (up to 5 s). The command goes on; `client.execs.delete` ends it. */
  async close(): Promise<void> {
    if (this.#end !== null) return;
    const late = deferred<void>();
    const stopTimer = startTimer(flushMs, late.resolve);
    await Promise.race([this.#input.flushed(), late.promise]);
    stopTimer();
    this.#finish(null, left(this.#id));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** One connection after the other, until the command ends or nothing helps. */
  async #run(first: object): Promise<void> {
    let message = first;
    try {
      while (this.#end === null) {
        try {
          await this.#connect(message);
          return;
        } catch (error) {
          this.#disconnected();
          this.#life.signal.throwIfAborted();
          // Nobody knows whether a command without an id runs, and a first attempt that fails says that it cannot work.
          if (!this.#hasBegun || this.#id === null) throw error;
          await this.#reconnection.next(error, this.#life.signal);
          message = { type: 'attach', id: this.#id, from: this.#cursor };
        }
      }
    } catch (error) {
      this.#finish(error, error);
    }
  }

  #hasBegun = false;

  async #connect(first: object): Promise<void> {
    const { timeoutMs = openMsDefault, silenceMs = silenceMsDefault } = this.#options;
    let connection: ExecConnection | null = null;
    const listener: ConnectionListener = {
      onMessage: (message) => this.#onMessage(message, connection),
      onOutput: (stream, data) => this.#onOutput(stream, data, connection),
    };
    connection = new ExecConnection(this.#transport, {
      ...{ machine: this.machine, first, listener, signal: this.#life.signal },
      ...{ openMs: timeoutMs, silenceMs },
    });
    await connection.ended;
  }

  #onMessage(message: ServerMessage, connection: ExecConnection | null): void {
    switch (message.type) {
      case 'started':
        this.#onStarted(message, connection);
        return;
      case 'ack':
        this.#reconnection.succeeded();
        this.#input.acknowledge(Number(message.bytes));
        return;
      case 'heartbeat':
        this.#reconnection.succeeded();
        return;
      case 'stdin_closed':
        this.#input.fail(takesNoInput());
        return;
      case 'exit': {
        const outcome = parseOutcome(message);
        this.#outcome.resolve(outcome);
        this.#finish(null, null);
      }
    }
  }

  #onStarted({ id, stdin }: ServerMessage, connection: ExecConnection | null): void {
    if (typeof id === 'string') this.#id = id;
    this.#connection = connection;
    this.#consumed = 0;
    this.#acknowledged = 0;
    if (connection !== null) {
      if (this.#hasBegun && this.#size !== null) connection.send({ type: 'resize', ...this.#size });
      this.#input.connect(connection, typeof stdin === 'number' ? stdin : null);
    }
    this.#hasBegun = true;
    this.#begun.resolve();
  }

  #onOutput(stream: 'stdout' | 'stderr', data: Uint8Array, connection: ExecConnection | null): void {
    this.#reconnection.succeeded();
    this.#cursor += data.length;
    this.#pieces.push({ stream, data, cursor: this.#cursor, connection });
    // A program that cannot be run is never said to have started.
    this.#begun.resolve();
    this.#changed.wake();
  }

  #consume(connection: ExecConnection | null, bytes: number): void {
    if (connection === null || connection !== this.#connection) return;
    this.#consumed += bytes;
    if (this.#consumed - this.#acknowledged < ackBytes) return;
    this.#acknowledged = this.#consumed;
    connection.send({ type: 'ack', bytes: this.#consumed });
  }

  #disconnected(): void {
    this.#connection = null;
    this.#input.disconnect();
  }

  /** `shown` is thrown to readers after the output; `reason` to those who wait for the outcome. */
  #finish(shown: unknown, reason: unknown): void {
    if (this.#end !== null) return;
    this.#end = { error: shown };
    if (reason !== null) this.#outcome.reject(reason);
    if (reason !== null && shown !== null) this.#begun.reject(reason);
    this.#begun.resolve();
    this.#input.fail(reason instanceof FlotillaError ? reason : takesNoInput());
    // After an exit the server closes the connection.
    if (reason !== null) this.#connection?.leave(reason);
    this.#disconnected();
    this.#life.release();
    if (reason !== null) this.#life.abort(reason);
    this.#changed.wake();
  }
}

function left(id: string | null): FlotillaError {
  const message = `the session was left; the command${id === null ? '' : ` ${id}`} goes on`;
  return new FlotillaError({ status: 0, code: clientErrorCodes.closed, message });
}

function takesNoInput(): FlotillaError {
  return new FlotillaError({
    ...{ status: 409, code: 'CONFLICT', message: 'the command has ended, or takes no standard input' },
  });
}
