/**
 * A client of QEMU's machine protocol: one connection, commands with ids and deadlines, and events.
 *
 * QEMU serves one client at a time. The kernel accepts a second connection, which then gets no answer, just
 * as one to a hanging QEMU; only the deadline detects this.
 */
import type { Socket } from 'node:net';
import { AppError } from '../../core/errors.ts';
import { abortable, deadline } from '../../lib/abort.ts';
import { connectOwned } from '../../lib/owned-socket.ts';
import { LineReader, parseQmpMessage, type QmpMessage } from './qmp-messages.ts';

/** The longest expected answer is query-block's: a few KiB. */
const lineBytesMax = 1 << 20;
/** More unanswered commands mean that QEMU hangs and a caller does not notice. */
const pendingMax = 64;

export interface QmpOptions {
  /** For the connection, the greeting and the capabilities together. */
  readonly timeoutMs: number;
  readonly onEvent?: (name: string, data: Readonly<Record<string, unknown>>) => void;
  /** Called once, when an established connection ends for any reason. */
  readonly onClose?: () => void;
}

interface Pending {
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: AppError) => void;
  readonly timer: NodeJS.Timeout;
}

/** Raises `timeout` and `engine`. */
export class QmpClient {
  readonly #socket: Socket;
  readonly #lines = new LineReader(lineBytesMax);
  readonly #pending = new Map<number, Pending>();
  readonly #options: QmpOptions;
  readonly #greeting = Promise.withResolvers<string>();
  #nextId = 1;
  #isReady = false;
  #isClosed = false;

  private constructor(socket: Socket, options: QmpOptions) {
    this.#socket = socket;
    this.#options = options;
    // A connection may end before anyone waits for the greeting.
    this.#greeting.promise.catch(() => undefined);
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', (error) =>
      this.#fail(new AppError('engine', 'the QMP connection failed', { cause: error })),
    );
    socket.on('close', () => this.#fail(new AppError('engine', 'the QMP connection closed')));
  }

  /**
   * Connects and negotiates. The error's cause has the socket's code (`ENOENT`, `ECONNREFUSED`, `EAGAIN`).
   */
  static async connect(path: string, options: QmpOptions): Promise<QmpClient> {
    const late = () => new AppError('timeout', 'QMP did not greet in time');
    const limit = deadline(options.timeoutMs, late);
    let client: QmpClient | null = null;
    try {
      client = new QmpClient(await QmpClient.#open(path, limit.signal), options);
      await abortable(client.#greeting.promise, limit.signal);
      await client.execute('qmp_capabilities', {}, options.timeoutMs);
      client.#isReady = true;
      return client;
    } catch (error) {
      client?.close();
      throw error;
    } finally {
      limit.clear();
    }
  }

  static async #open(path: string, signal: AbortSignal): Promise<Socket> {
    try {
      return await connectOwned(path, signal);
    } catch (error) {
      signal.throwIfAborted();
      throw new AppError('engine', 'the QMP connection failed', { cause: error });
    }
  }

  /** QEMU's version, such as `7.2.22`. */
  get version(): Promise<string> {
    return this.#greeting.promise;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  execute(command: string, args: Readonly<Record<string, unknown>>, timeoutMs: number): Promise<unknown> {
    if (this.#isClosed) return Promise.reject(new AppError('engine', `QMP ${command}: not connected`));
    if (this.#pending.size >= pendingMax)
      return Promise.reject(new AppError('timeout', `QMP ${command}: too many commands unanswered`));
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const id = this.#nextId++;
    const timer = setTimeout(() => {
      this.#pending.delete(id);
      reject(new AppError('timeout', `QMP ${command}: no answer within ${timeoutMs} ms`));
    }, timeoutMs);
    this.#pending.set(id, { command, resolve, reject, timer });
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    return promise;
  }

  /** Ends the connection; open commands fail. Does nothing if it has ended. */
  close(): void {
    this.#fail(new AppError('engine', 'the QMP connection closed'));
  }

  #onData(chunk: Buffer): void {
    try {
      for (const line of this.#lines.push(chunk)) {
        if (this.#isClosed) return;
        this.#onMessage(parseQmpMessage(line));
      }
    } catch (error) {
      this.#fail(new AppError('engine', 'QMP sent an invalid message', { cause: error }));
    }
  }

  #onMessage(message: QmpMessage): void {
    switch (message.kind) {
      case 'greeting':
        this.#greeting.resolve(message.version);
        break;
      case 'event':
        this.#options.onEvent?.(message.name, message.data);
        break;
      default:
        this.#onAnswer(message);
    }
  }

  #onAnswer(message: QmpMessage & { readonly kind: 'return' | 'error' }): void {
    const pending = message.id === null ? undefined : this.#pending.get(message.id);
    // The deadline of this command has passed; nobody waits for the answer.
    if (pending === undefined || message.id === null) return;
    this.#pending.delete(message.id);
    clearTimeout(pending.timer);
    if (message.kind === 'return') pending.resolve(message.value);
    else pending.reject(new AppError('engine', `QMP ${pending.command}: ${message.description}`));
  }

  #fail(error: AppError): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.destroy();
    this.#greeting.reject(error);
    for (const pending of this.#pending.values()) {
      clearTimeout(pending.timer);
      pending.reject(error);
    }
    this.#pending.clear();
    if (this.#isReady) this.#options.onClose?.();
  }
}
