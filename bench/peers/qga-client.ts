/**
 * A client of qemu-guest-agent as people write it: one connection to QEMU's character device, one command at a time, a
 * line of JSON each way, and a command's end found by asking for it.
 */
import { connect, type Socket } from 'node:net';
import { AppError } from '../../src/core/errors.ts';
import { abortable, deadline, sleep } from '../../src/lib/abort.ts';

const pollIntervalMs = 10;
const answerTimeoutMs = 30_000;
/** A command's output in base64, and room to spare for `true`, which has none. */
const lineCharactersMax = 1 << 20;

type Values = Readonly<Record<string, unknown>>;

/** What one line says. Raises `guest` for an error of the agent and for what is no answer. Pure. */
export function parseQgaAnswer(line: string): unknown {
  // The agent puts 0xFF before the answer to guest-sync-delimited, and a line may follow what was cut off.
  const text = line.slice(line.lastIndexOf('\u00ff') + 1);
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch (error) {
    throw new AppError('guest', 'qemu-guest-agent sent what is no JSON', { cause: error });
  }
  if (typeof answer === 'object' && answer !== null && 'return' in answer) return answer.return;
  throw new AppError('guest', `qemu-guest-agent answered ${text.slice(0, 200)}`);
}

/** How a command stands, from the answer to guest-exec-status: null while it runs. Raises `guest`. Pure. */
export function exitCodeOf(status: unknown): number | null {
  if (typeof status === 'object' && status !== null) {
    const { exited, exitcode } = status as Values;
    if (exited === false) return null;
    if (exited === true && typeof exitcode === 'number') return exitcode;
  }
  throw new AppError('guest', `qemu-guest-agent tells a command’s state as ${JSON.stringify(status)}`);
}

export class QgaClient implements Disposable {
  readonly #socket: Socket;
  #received = '';
  #waiting: PromiseWithResolvers<unknown> | null = null;
  #failure: Error | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
    // One character a byte, so that the delimiter 0xFF is one.
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => this.#receive(text));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new AppError('guest', 'the channel to qemu-guest-agent is closed')));
  }

  /** Connects and waits until the agent answers, which it does once the guest has started it. */
  static async open(path: string, signal: AbortSignal): Promise<QgaClient> {
    const client = new QgaClient(connect(path));
    try {
      const id = Math.floor(Math.random() * 2 ** 31);
      const answer = await client.execute('guest-sync-delimited', { id }, signal);
      if (answer !== id) throw new AppError('guest', 'qemu-guest-agent is out of step');
      return client;
    } catch (error) {
      client[Symbol.dispose]();
      throw error;
    }
  }

  /** One command and its answer. Raises `guest`, `timeout` after 30 s, and the signal's reason; unusable afterwards. */
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
      // An answer that comes late would be taken for the next command's.
      if (limit.signal.aborted) this[Symbol.dispose]();
      throw error;
    } finally {
      limit.clear();
    }
  }

  /** Runs a program, asking every 10 ms whether it has ended; raises `guest` unless it exits 0. */
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
      this.#socket.destroy(new AppError('guest', 'qemu-guest-agent sends lines without an end'));
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
