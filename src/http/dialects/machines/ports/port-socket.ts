/**
 * One WebSocket that carries one TCP connection to a program in a machine: binary frames are its bytes, and a text frame says that
 * its sender sends no more. `routes.ts` makes it; docs/ports.md is the specification. TCP holds a fast side back: this end stops
 * reading one side while the other is full.
 */
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { AppError } from '../../../../core/errors.ts';
import type { Logger } from '../../../../lib/log.ts';
import { BadRequest, type ErrorAnswer, toAppError } from '../../../errors.ts';
import type { Session } from '../../../session.ts';
import { closeCodeOf, closeReason } from '../../../websocket.ts';

export const portProtocol = 'flotilla.tcp.v1';

/** Above this, no more is read from the program; below half of it, reading goes on. */
const queuedBytesMax = 512 * 1024;
const end = JSON.stringify({ type: 'end' });

export interface PortSocketOptions {
  readonly socket: WebSocket;
  readonly connection: Duplex;
  readonly session: Session;
  readonly timings: { readonly pingMs: number; readonly silentMs: number };
  readonly log: Logger;
  readonly requestId: string;
  /** The dialect's form of an error. */
  readonly render: (error: AppError) => ErrorAnswer;
}

export class PortSocket {
  readonly #options: PortSocketOptions;
  readonly #socket: WebSocket;
  readonly #connection: Duplex;
  readonly #pingTimer: NodeJS.Timeout;
  #heardAtMs = performance.now();
  #isOver = false;

  constructor(options: PortSocketOptions) {
    this.#options = options;
    const { socket, connection, session, timings } = options;
    this.#socket = socket;
    this.#connection = connection;
    this.#pingTimer = setInterval(() => this.#ping(), timings.pingMs);
    connection.on('data', (data: Buffer) => this.#pass(data));
    connection.on('end', () => this.#onProgramEnd());
    connection.on('error', (error: Error) => this.#fail(error));
    connection.on('finish', () => this.#closeIfWhole());
    connection.on('close', () => this.#fail(connection.errored ?? lost()));
    connection.on('drain', () => this.#socket.resume());
    socket.on('message', (data: Buffer, isBinary) => this.#receive(data, isBinary));
    socket.on('ping', (data: Buffer) => {
      this.#hear();
      if (this.#socket.bufferedAmount < queuedBytesMax) this.#socket.pong(data);
    });
    socket.on('pong', () => this.#hear());
    // It closes itself with the right code.
    socket.on('error', () => undefined);
    socket.on('close', (code) => this.#onClose(code));
    const onAbort = () => this.#fail(session.signal.reason);
    if (session.signal.aborted) onAbort();
    else session.signal.addEventListener('abort', onAbort, { once: true });
    // Lost before anybody listened.
    if (connection.destroyed) this.#fail(connection.errored ?? lost());
  }

  /** The daemon is about to end. */
  drain(): void {
    this.#close(1001, 'the daemon is shutting down; connect again');
  }

  #receive(frame: Buffer, isBinary: boolean): void {
    this.#hear();
    if (this.#isOver) return;
    if (!isBinary) this.#handle(frame.toString());
    else if (this.#connection.writableEnded) this.#fail(afterEnd());
    // What the program does not take waits at the client.
    else if (!this.#connection.write(Buffer.from(frame))) this.#socket.pause();
  }

  #handle(text: string): void {
    if (text.replaceAll(/\s/g, '') === end) this.#connection.end();
    else this.#fail(new BadRequest(`a text frame must be ${end}`, 'See docs/ports.md.'));
  }

  #pass(data: Buffer): void {
    if (this.#isOver) return;
    this.#socket.send(data, () => {
      if (this.#socket.bufferedAmount < queuedBytesMax / 2) this.#connection.resume();
    });
    if (this.#socket.bufferedAmount > queuedBytesMax) this.#connection.pause();
  }

  #onProgramEnd(): void {
    if (!this.#isOver) this.#socket.send(end);
    this.#closeIfWhole();
  }

  #closeIfWhole(): void {
    if (this.#connection.readableEnded && this.#connection.writableFinished) this.#close(1000, '');
  }

  #hear(): void {
    this.#heardAtMs = performance.now();
  }

  /** A client that is not read may have answered; one that does not read gets no ping. */
  #ping(): void {
    if (this.#socket.isPaused || this.#socket.bufferedAmount > 0) this.#hear();
    else if (performance.now() - this.#heardAtMs > this.#options.timings.silentMs) this.#socket.terminate();
    else this.#socket.ping();
  }

  #fail(thrown: unknown): void {
    if (this.#isOver) return;
    const error = toAppError(thrown);
    const { status, body } = this.#options.render(error);
    const { log, requestId } = this.#options;
    if (status === 500) log.error({ requestId, err: thrown }, 'websocket failed');
    this.#socket.send(JSON.stringify({ type: 'error', ...body }));
    this.#close(closeCodeOf(status), error.code === 'internal' ? '' : error.message);
  }

  #close(code: number, reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    // The client's close must be heard.
    this.#socket.resume();
    this.#socket.close(code, closeReason(reason));
    if (code !== 1000) this.#connection.destroy();
  }

  #onClose(code: number): void {
    this.#isOver = true;
    clearInterval(this.#pingTimer);
    this.#connection.destroy();
    this.#options.log.debug({ requestId: this.#options.requestId, code }, 'websocket closed');
  }
}

function lost(): AppError {
  return new AppError('guest', 'the connection was lost');
}

function afterEnd(): AppError {
  return new BadRequest('bytes were sent after the end', 'Send nothing after it.');
}
