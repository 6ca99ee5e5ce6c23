/**
 * One WebSocket with the subprotocol flotilla.exec.v1, which docs/terminal.md specifies: frames in and out, and how it ended.
 * Keeps nothing beyond that; `terminal.ts` makes a session of one connection after the other.
 */

import { linkedAbort, startTimer } from './abort.ts';
import { requestOf } from './call.ts';
import { deferred } from './deferred.ts';
import { clientErrorCodes, errorFromAnswer, FlotillaError, isRecord } from './errors.ts';
import type { SocketLike } from './socket.ts';
import { badResponse, type Transport } from './transport.ts';

export type ServerMessage = Readonly<Record<string, unknown>> & { readonly type: string };

export interface ConnectionListener {
  onMessage(message: ServerMessage): void;
  onOutput(stream: 'stdout' | 'stderr', data: Uint8Array): void;
}

export interface ConnectionOptions {
  readonly machine: string;
  /** Sent as soon as it is open. */
  readonly first: object;
  readonly listener: ConnectionListener;
  readonly signal: AbortSignal;
  /** Limit for the handshake. */
  readonly openMs: number;
  /** How long the server may send nothing, not even a heartbeat. */
  readonly silenceMs: number;
}

const protocol = 'flotilla.exec.v1';
/** Close codes above it are HTTP statuses. */
const closeCodeOfStatus = 4000;
const streams = { 1: 'stdout', 2: 'stderr' } as const;

export class ExecConnection {
  readonly #socket: SocketLike;
  readonly #options: ConnectionOptions;
  readonly #transport: Transport;
  readonly #ended = deferred<void>();
  #isOpen = false;
  #hasExited = false;
  #stopTimer: () => void = () => undefined;
  /** Why this end closed it. */
  #reason: unknown = null;
  /** The text of the server's last error. */
  #errorText: string | null = null;

  /** Throws FlotillaError `INVALID_ARGUMENT` for a machine that would change the path. */
  constructor(transport: Transport, options: ConnectionOptions) {
    this.#transport = transport;
    this.#options = options;
    this.#socket = transport.openSocket(pathOf(options.machine), protocol);
    this.#socket.binaryType = 'arraybuffer';
    this.#socket.addEventListener('open', () => this.#onOpen());
    this.#socket.addEventListener('message', ({ data }) => this.#onMessage(data));
    this.#socket.addEventListener('close', ({ code, reason }) => void this.#onClose(code, reason));
    // The close that follows tells it.
    this.#socket.addEventListener('error', () => undefined);
    const { signal, openMs } = options;
    const onAbort = () => this.#leave(signal.reason);
    this.#ended.promise.catch(() => undefined).finally(() => signal.removeEventListener('abort', onAbort));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    this.#stopTimer = startTimer(openMs, () => this.#leave(late('the WebSocket did not open', openMs)));
  }

  /** Resolves after the command's `exit`; rejects when the connection ended before. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  send(message: object): void {
    this.#socket.send(JSON.stringify(message));
  }

  sendInput(data: Uint8Array): void {
    const frame = new Uint8Array(data.length + 1);
    frame.set(data, 1);
    this.#socket.send(frame);
  }

  /** Leaves the command running; `ended` rejects with the reason. */
  leave(reason: unknown): void {
    this.#leave(reason);
  }

  #leave(reason: unknown): void {
    this.#reason ??= { reason };
    this.#stopTimer();
    this.#socket.close(1000);
    // The server may never answer, and then the close event comes late.
    this.#ended.reject(reason);
  }

  #onOpen(): void {
    if (this.#reason !== null) return;
    this.#isOpen = true;
    this.#expect();
    this.send(this.#options.first);
  }

  #onMessage(data: unknown): void {
    if (this.#reason !== null) return;
    this.#expect();
    try {
      if (typeof data === 'string') this.#onText(data);
      else if (data instanceof ArrayBuffer) this.#onBinary(new Uint8Array(data));
    } catch (error) {
      this.#leave(badResponse('a frame that is not of this protocol', error));
    }
  }

  #onText(text: string): void {
    const message: unknown = JSON.parse(text);
    if (!isRecord(message) || typeof message.type !== 'string') throw new TypeError('a message without type');
    if (message.type === 'error') this.#errorText = text;
    if (message.type === 'exit') this.#hasExited = true;
    this.#options.listener.onMessage(message as ServerMessage);
    if (this.#hasExited) {
      this.#stopTimer();
      this.#ended.resolve();
    }
  }

  #onBinary(frame: Uint8Array): void {
    const stream = streams[frame[0] as keyof typeof streams];
    // A newer server may have more streams.
    if (stream !== undefined) this.#options.listener.onOutput(stream, frame.subarray(1));
  }

  #expect(): void {
    this.#stopTimer();
    const { silenceMs } = this.#options;
    this.#stopTimer = startTimer(silenceMs, () => this.#leave(late('the server sent nothing', silenceMs)));
  }

  async #onClose(code: number, reason: string): Promise<void> {
    this.#stopTimer();
    if (this.#reason !== null || this.#hasExited) return;
    const status = code - closeCodeOfStatus;
    if (status >= 400 && status < 600)
      this.#ended.reject(errorFromAnswer(status, new Headers(), this.#errorText ?? ''));
    else if (this.#isOpen)
      this.#ended.reject(
        this.#transport.unreachable(`the WebSocket closed (${code}${reason && `: ${reason}`})`),
      );
    else this.#ended.reject(await this.#refusal());
  }

  /** A WebSocket does not tell why it was refused: the same request without an upgrade does. */
  async #refusal(): Promise<unknown> {
    const { machine, signal, openMs } = this.#options;
    const probe = linkedAbort(signal);
    const stopTimer = startTimer(openMs, () => probe.abort(late('no answer', openMs)));
    try {
      const path = pathOf(machine);
      const answer = await this.#transport.open({ method: 'GET', path, isRepeatable: true }, probe.signal);
      await answer.body?.cancel();
    } catch (error) {
      if (!(error instanceof FlotillaError) || error.status !== upgradeRequired) return error;
    } finally {
      stopTimer();
      probe.release();
    }
    return this.#transport.unreachable(
      'it answers, but no WebSocket can be opened; a proxy may not pass them on',
    );
  }
}

/** The answer to a request that would have been accepted as a WebSocket. */
const upgradeRequired = 426;

function pathOf(machine: string): string {
  const { path } = requestOf('execInMachine', { path: { id: machine }, body: { command: [''] } });
  return `${path}/ws`;
}

function late(what: string, ms: number): FlotillaError {
  const message = `${what} within ${Math.round(ms / 1000)} s`;
  return new FlotillaError({ status: 0, code: clientErrorCodes.timeout, message });
}
