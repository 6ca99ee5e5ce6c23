/**
 * A typical client of qemu-guest-agent: one connection to QEMU's character device, one command at a time, one
 * JSON line each way. It polls to learn when a command has ended.
 */
import { connect, type Socket } from 'node:net';
import { AppError } from '../../src/core/errors.ts';
import { abortable, deadline, sleep } from '../../src/lib/abort.ts';

const pollIntervalMs = 10;
const answerTimeoutMs = 30_000;
/** Room for a command's output in base64; `true` has none. */
const lineCharactersMax = 1 << 20;

type Values = Readonly<Record<string, unknown>>;

/** Parses one line. Raises `guest` for the agent's errors and for invalid lines. Pure. */
export function parseQgaAnswer(line: string): unknown {
  // The agent sends 0xFF before the answer to guest-sync-delimited; remains of an earlier line may precede
  // it.
  const text = line.slice(line.lastIndexOf('\u00ff') + 1);
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch (error) {
    throw new AppError('guest', 'qemu-guest-agent sent a line that is not JSON', { cause: error });
  }
  if (typeof answer === 'object' && answer !== null && 'return' in answer) return answer.return;
  throw new AppError('guest', `qemu-guest-agent answered ${text.slice(0, 200)}`);
}

/**
 * Reads a command's exit code from the answer to guest-exec-status; null while it runs. Raises `guest`. Pure.
 */
export function exitCodeOf(status: unknown): number | null {
  if (typeof status === 'object' && status !== null) {
    const { exited, exitcode } = status as Values;
    if (exited === false) return null;
    if (exited === true && typeof exitcode === 'number') return exitcode;
  }
  throw new AppError('guest', `qemu-guest-agent sent an unknown command status: ${JSON.stringify(status)}`);
}

export class QgaClient implements Disposable {
  readonly #socket: Socket;
  #received = '';
  #waiting: PromiseWithResolvers<unknown> | null = null;
  #failure: Error | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
    // latin1 keeps one character per byte, so that 0xFF is recognised.
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => this.#receive(text));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new AppError('guest', 'the channel to qemu-guest-agent is closed')));
  }

  /** Connects and waits until the guest has started its agent and the agent answers. */
  static async open(path: string, signal: AbortSignal): Promise<QgaClient> {
    const client = new QgaClient(connect(path));
    try {
      const id = Math.floor(Math.random() * 2 ** 31);
      const answer = await client.execute('guest-sync-delimited', { id }, signal);
      if (answer !== id) throw new AppError('guest', 'qemu-guest-agent answered with another sync id');
      return client;
    } catch (error) {
      client[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Sends one command and waits for its answer. Raises `guest`, `timeout` after 30 s, and the signal's
   * reason; the client is unusable afterwards.
   */
  async execute(command: string, args: Values, signal: AbortSignal): Promise<unknown> {
    if (this.#failure !== null) throw this.#failure;
    this.#waiting = Promise.withResolvers<unknown>();
    const { promise } = this.#waiting;
    promise.catch(() => undefined);
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
    const late = () => new AppError('timeout', `qemu-guest-agent does not answer ${command}`);
    const limit = deadline(answerTimeoutMs, late, signal);
    try {
      return await abortable(promise, limit.signal);
    } catch (error) {
      // A late answer would be mistaken for the next command's.
      if (limit.signal.aborted) this[Symbol.dispose]();
      throw error;
    } finally {
      limit.clear();
    }
  }

  /** Runs a program, polling every 10 ms until it ends. Raises `guest` unless it exits 0. */
  async run(path: string, signal: AbortSignal): Promise<void> {
    const started = await this.execute('guest-exec', { path, 'capture-output': true }, signal);
    const pid = typeof started === 'object' && started !== null ? (started as Values).pid : undefined;
    for (;;) {
      const code = exitCodeOf(await this.execute('guest-exec-status', { pid }, signal));
      if (code === 0) return;
      if (code !== null) throw new AppError('guest', `${path} exited with ${code}`);
      await sleep(pollIntervalMs, signal);
    }
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  #receive(text: string): void {
    this.#received += text;
    if (this.#received.length > lineCharactersMax)
      this.#socket.destroy(new AppError('guest', 'qemu-guest-agent sent a line longer than the limit'));
    const end = this.#received.indexOf('\n');
    if (end < 0) return;
    const line = this.#received.slice(0, end);
    this.#received = this.#received.slice(end + 1);
    const waiting = this.#waiting;
    this.#waiting = null;
    try {
      waiting?.resolve(parseQgaAnswer(line));
    } catch (error) {
      waiting?.reject(error);
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#waiting?.reject(this.#failure);
    this.#waiting = null;
  }
}
