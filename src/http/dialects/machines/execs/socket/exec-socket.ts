/**
 * One WebSocket with one command: it starts the command or attaches to it, passes on output, input, signals and sizes, and
 * ends with the command's outcome. A client that goes away does not affect the command. `socket-app.ts` makes it; core
 * runs the command; docs/terminal.md is the specification.
 */
import type { WebSocket } from 'ws';
import type { CommandsOf, OutputEvent } from '../../../../../core/commands/command.ts';
import type { CommandService } from '../../../../../core/commands/service.ts';
import { AppError, isAppError } from '../../../../../core/errors.ts';
import type { Logger } from '../../../../../lib/log.ts';
import { BadRequest, type ErrorAnswer, toAppError } from '../../../../errors.ts';
import type { Session } from '../../../../session.ts';
import { closeCodeOf, closeReason } from '../../../../websocket.ts';
import { Input } from './input.ts';
import {
  ackMessage,
  type ClientMessage,
  errorMessage,
  exitMessage,
  heartbeatMessage,
  inputOf,
  outputFrame,
  parseMessage,
  startedMessage,
  stdinClosedMessage,
  toSize,
  toStart,
} from './messages.ts';
import { SendWindow } from './send-window.ts';

export interface SocketTimings {
  /** For the first message. */
  readonly startMs: number;
  readonly pingMs: number;
  /** How long a client may send nothing, not even an answer to a ping. */
  readonly silentMs: number;
}

export const socketTimingsDefault: SocketTimings = { startMs: 10_000, pingMs: 20_000, silentMs: 60_000 };

export interface ExecSocketOptions {
  readonly socket: WebSocket;
  readonly commands: CommandService;
  readonly of: CommandsOf;
  readonly session: Session;
  readonly timings: SocketTimings;
  readonly log: Logger;
  readonly requestId: string;
  /** The dialect's form of an error. */
  readonly render: (error: AppError) => ErrorAnswer;
}

/** Signals and sizes that wait for the guest. */
const callsWaitingMax = 32;
/** With more in the queue of the socket, pings are not answered: the client does not read. */
const queuedBytesMax = 512 * 1024;

export class ExecSocket {
  readonly #options: ExecSocketOptions;
  readonly #socket: WebSocket;
  readonly #output = new SendWindow();
  readonly #input: Input;
  readonly #startTimer: NodeJS.Timeout;
  readonly #pingTimer: NodeJS.Timeout;
  readonly #openedAtMs = performance.now();
  readonly #ending = new AbortController();
  /** Calls that must reach the guest in order; resolves when the last one has. */
  #calls: Promise<void> = Promise.resolve();
  #callsWaiting = 0;
  /** Pings since the client was heard. Not a time: a daemon that stood still must not blame its clients. */
  #pings = 0;
  #hasBegun = false;
  #isOver = false;
  /** The command, if the guest agent owns it. */
  #id: string | null = null;

  constructor(options: ExecSocketOptions) {
    this.#options = options;
    const { socket, session, timings } = options;
    this.#socket = socket;
    this.#input = new Input({
      feed: (data, isEnd) => this.#feed(data, isEnd),
      reserve: (bytes) => session.reserve(bytes),
      onTaken: (bytes) => this.#send(ackMessage(bytes)),
      onClosed: () => this.#send(stdinClosedMessage),
      onError: (error) => this.#fail(error),
    });
    this.#startTimer = setTimeout(() => this.#fail(tooLate(timings.startMs)), timings.startMs);
    this.#pingTimer = setInterval(() => this.#ping(), timings.pingMs);
    socket.on('message', (data: Buffer, isBinary) => this.#receive(data, isBinary));
    socket.on('ping', (data: Buffer) => this.#answerPing(data));
    socket.on('pong', () => this.#hear());
    // It closes itself with the right code.
    socket.on('error', () => undefined);
    socket.on('close', (code) => this.#onClose(code));
    const onAbort = () => this.#fail(session.signal.reason);
    if (session.signal.aborted) onAbort();
    else session.signal.addEventListener('abort', onAbort, { once: true });
  }

  /** The daemon is about to end; the command goes on, and the client can attach again. */
  drain(): void {
    this.#close(1001, 'the daemon is shutting down; attach again');
  }

  get #signal(): AbortSignal {
    return this.#options.session.signal;
  }

  #receive(frame: Buffer, isBinary: boolean): void {
    this.#hear();
    if (this.#isOver) return;
    try {
      if (!isBinary) this.#handle(parseMessage(frame));
      else if (this.#hasBegun) this.#input.push(inputOf(frame));
      else throw notBegun();
    } catch (error) {
      this.#fail(error);
    }
  }

  #handle(message: ClientMessage): void {
    const isFirst = message.type === 'start' || message.type === 'attach';
    if (isFirst === this.#hasBegun) throw isFirst ? begunAlready() : notBegun();
    switch (message.type) {
      case 'start':
      case 'attach':
        this.#hasBegun = true;
        clearTimeout(this.#startTimer);
        this.#run(message).catch((error: unknown) => this.#fail(error));
        return;
      case 'resize':
        this.#call((id) => this.#commands.resize(this.#of, id, toSize(message), this.#signal));
        return;
      case 'signal': {
        const name = message.signal.replace(/^SIG/, '');
        this.#call((id) => this.#commands.signal(this.#of, id, name, this.#signal));
        return;
      }
      case 'stdin_end':
        this.#input.end();
        return;
      case 'ack':
        if (!this.#output.acknowledge(message.bytes))
          throw new BadRequest(
            `ack: ${message.bytes} is not between the last acknowledgement and what was sent`,
            'Count the bytes of output since the connection began.',
          );
    }
  }

  async #run(message: Extract<ClientMessage, { type: 'start' | 'attach' }>): Promise<void> {
    const begun = Promise.withResolvers<void>();
    // What arrives before the command has started waits for it.
    this.#calls = begun.promise;
    const events = await (message.type === 'start' ? this.#start(message) : this.#attach(message));
    this.#input.begin(this.#id !== null && (message.type === 'attach' || message.stdin));
    begun.resolve();
    await this.#pass(events);
  }

  async #start(message: Extract<ClientMessage, { type: 'start' }>): Promise<AsyncIterable<OutputEvent>> {
    const { id, pid, machineId, events } = await this.#commands.run(this.#of, toStart(message), this.#signal);
    this.#id = id;
    if (id !== null && pid !== null) this.#send(startedMessage({ id, machineId, pid, cursor: 0, stdin: 0 }));
    return events;
  }

  async #attach({
    id,
    from,
  }: Extract<ClientMessage, { type: 'attach' }>): Promise<AsyncIterable<OutputEvent>> {
    const request = { from, isFollowed: true };
    const { command, events } = await this.#commands.output(this.#of, id, request, this.#signal);
    this.#id = id;
    const { machineId, pid } = command;
    this.#send(startedMessage({ id, machineId, pid, cursor: from, stdin: events.stdinTaken }));
    return events;
  }

  /** Leaving the loop early, also by an error, leaves the output, not the command. */
  async #pass(events: AsyncIterable<OutputEvent>): Promise<void> {
    for await (const event of events) {
      if (this.#isOver) return;
      if (event.type === 'outcome') {
        this.#send(exitMessage(event));
        return this.#close(1000, '');
      }
      if ('data' in event) await this.#write(event.type, event.data);
    }
  }

  async #write(stream: 'stdout' | 'stderr', data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length; ) {
      await this.#output.open(this.#ending.signal);
      const piece = data.subarray(at, at + this.#output.room);
      this.#output.send(piece.length);
      this.#send(outputFrame(stream, piece));
      at += piece.length;
    }
  }

  async #feed(data: Buffer, isEnd: boolean): Promise<void> {
    // What is typed after a change of the size meets a terminal that has it.
    await this.#calls;
    if (this.#id === null || this.#isOver) return;
    await this.#commands.feed(this.#of, this.#id, once(data), isEnd, this.#signal);
  }

  /** Calls in order, none of which waits for standard input. */
  #call(act: (id: string) => Promise<void>): void {
    if (this.#callsWaiting === callsWaitingMax)
      throw new AppError('rate_limited', 'too many signals and sizes wait for the guest', {
        hint: 'Send the last size only.',
      });
    this.#callsWaiting += 1;
    this.#calls = this.#calls
      .then(() => (this.#id === null || this.#isOver ? undefined : act(this.#id)))
      .catch((error: unknown) => {
        // It has ended, or has no terminal: nothing that the client could have known.
        if (!isAppError(error, 'conflict') && !isAppError(error, 'not_found')) this.#fail(error);
      })
      .finally(() => {
        this.#callsWaiting -= 1;
      });
  }

  #hear(): void {
    this.#pings = 0;
  }

  #ping(): void {
    const { pingMs, silentMs } = this.#options.timings;
    this.#pings += 1;
    if (this.#pings * pingMs > silentMs) this.#socket.terminate();
    else if (this.#socket.bufferedAmount === 0) {
      this.#socket.ping();
      // For pages, which see no pings.
      this.#send(heartbeatMessage);
    }
  }

  #answerPing(data: Buffer): void {
    this.#hear();
    if (!this.#isOver && this.#socket.bufferedAmount < queuedBytesMax) this.#socket.pong(data);
  }

  #send(frame: string | Buffer): void {
    if (!this.#isOver) this.#socket.send(frame);
  }

  #fail(thrown: unknown): void {
    if (this.#isOver) return;
    const error = toAppError(thrown);
    const { status, body } = this.#options.render(error);
    const { log, requestId } = this.#options;
    if (status === 500) log.error({ requestId, err: thrown }, 'websocket failed');
    this.#send(errorMessage(body));
    this.#close(closeCodeOf(status), error.code === 'internal' ? '' : error.message);
  }

  #close(code: number, reason: string): void {
    if (this.#isOver) return;
    this.#end();
    this.#socket.close(code, closeReason(reason));
  }

  /** Nothing more is passed on in either direction. */
  #end(): void {
    this.#isOver = true;
    clearTimeout(this.#startTimer);
    this.#ending.abort(new AppError('unavailable', 'the connection has ended'));
  }

  #onClose(code: number): void {
    this.#end();
    clearInterval(this.#pingTimer);
    const { log, requestId } = this.#options;
    const ms = performance.now() - this.#openedAtMs;
    const bytes = this.#output.sent;
    log.debug({ requestId, command: this.#id, code, ms, bytes }, 'websocket closed');
  }

  get #commands(): CommandService {
    return this.#options.commands;
  }

  get #of(): CommandsOf {
    return this.#options.of;
  }
}

async function* once(data: Uint8Array): AsyncGenerator<Uint8Array> {
  if (data.length > 0) yield data;
}

function notBegun(): AppError {
  return new BadRequest('the first message must be `start` or `attach`', 'Send it as a text frame.');
}

function begunAlready(): AppError {
  return new BadRequest('this connection has a command already', 'Open another WebSocket.');
}

function tooLate(ms: number): AppError {
  return new AppError('timeout', `no \`start\` or \`attach\` within ${ms / 1000} seconds`, {
    hint: 'Send it as soon as the WebSocket is open.',
  });
}
