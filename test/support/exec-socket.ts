/** A client of the subprotocol flotilla.exec.v1 for tests: what it received, in order, and what it was refused with. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { type ClientOptions, WebSocket } from 'ws';

export const execProtocol = 'flotilla.exec.v1';

export interface TestSocketOptions extends ClientOptions {
  readonly key?: string;
  readonly protocols?: readonly string[];
  /** Acknowledges output as it comes. Default: true. */
  readonly acks?: boolean;
}

export interface ServerMessage {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** The HTTP answer to a handshake. */
export interface Refusal {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: { readonly error: { readonly code: string; readonly message: string } };
}

export class TestSocket {
  readonly socket: WebSocket;
  readonly messages: ServerMessage[] = [];
  readonly output = { stdout: '', stderr: '', bytes: 0 };
  closed: { readonly code: number; readonly reason: string } | null = null;
  #changed = Promise.withResolvers<void>();

  constructor(
    url: string,
    { key, protocols = [execProtocol], acks = true, ...options }: TestSocketOptions = {},
  ) {
    const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
    this.socket = new WebSocket(url.replace(/^http/, 'ws'), [...protocols], {
      ...options,
      headers: { ...headers, ...options.headers },
    });
    this.socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) {
        const stream = data[0] === 1 ? 'stdout' : 'stderr';
        this.output[stream] += data.toString('latin1', 1);
        this.output.bytes += data.length - 1;
        if (acks) this.send({ type: 'ack', bytes: this.output.bytes });
      } else this.messages.push(JSON.parse(data.toString()));
      this.#wake();
    });
    this.socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
      this.#wake();
    });
    // The close tells it.
    this.socket.on('error', () => undefined);
  }

  /** Resolves when it is open; throws the refusal. */
  async opened(): Promise<this> {
    const refused = once(this.socket, 'unexpected-response').then(async ([request, response]) => {
      const { statusCode, headers } = response as IncomingMessage;
      const body = await text(response as IncomingMessage);
      (request as { destroy(): void }).destroy();
      throw Object.assign(new Error(`refused: ${statusCode} ${body}`), {
        refusal: { status: statusCode, headers, body: JSON.parse(body) },
      });
    });
    await Promise.race([once(this.socket, 'open'), refused]);
    // Nobody waits for it any more.
    refused.catch(() => undefined);
    return this;
  }

  send(message: object | string): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  input(data: string | Uint8Array, channel = 0): void {
    this.socket.send(Buffer.concat([Buffer.from([channel]), Buffer.from(data as string)]));
  }

  /** Resolves when the test's condition holds; fails when the socket closes before. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.closed !== null) throw new Error(`closed: ${this.closed.code} ${this.closed.reason}`);
      await this.#changed.promise;
    }
  }

  async message(type: string): Promise<ServerMessage> {
    const found = () => this.messages.find((each) => each.type === type);
    await this.until(() => found() !== undefined);
    return found() as ServerMessage;
  }

  async close(): Promise<{ readonly code: number; readonly reason: string }> {
    while (this.closed === null) await this.#changed.promise;
    return this.closed;
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** The HTTP answer to a handshake that is refused. */
export async function refusalOf(url: string, options?: TestSocketOptions): Promise<Refusal> {
  try {
    await new TestSocket(url, options).opened();
  } catch (error) {
    if (error instanceof Error && 'refusal' in error) return error.refusal as Refusal;
    throw error;
  }
  throw new Error('the WebSocket was opened');
}
