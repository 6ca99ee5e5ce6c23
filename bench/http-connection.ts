/**
 * HTTP/1.1 over one kept-alive connection, one request at a time. Node's own client uses more CPU per request
 * than the servers under test, so it would distort the result. This client writes prepared bytes and only
 * looks for the end of the answer.
 */
import { connect, type Socket } from 'node:net';
import { AppError } from '../src/core/errors.ts';
import type { Endpoint } from './workplace.ts';

const connectTimeoutMs = 5_000;
const headerEnd = '\r\n\r\n';
const lastChunk = Buffer.from('0\r\n\r\n');

export interface HttpAnswer {
  readonly status: number;
  /** As received: chunked bodies keep their framing. */
  readonly body: Buffer;
}

/** Encodes a request; `body` is sent as JSON. */
export function encodeRequest(
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  { host, port }: Endpoint,
  options: { readonly key?: string; readonly body?: unknown } = {},
): Buffer {
  const body = options.body === undefined ? '' : JSON.stringify(options.body);
  const lines = [
    `${method} ${path} HTTP/1.1`,
    `Host: ${host}:${port}`,
    ...(options.key === undefined ? [] : [`Authorization: Bearer ${options.key}`]),
    ...(body === '' ? [] : ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`]),
  ];
  return Buffer.from(`${lines.join('\r\n')}${headerEnd}${body}`);
}

/** Parses an answer; null while it is incomplete. Pure. */
export function parseAnswer(bytes: Buffer): HttpAnswer | null {
  const end = bytes.indexOf(headerEnd);
  if (end < 0) return null;
  const head = bytes.toString('latin1', 0, end);
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]);
  const body = bytes.subarray(end + headerEnd.length);
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (status === 204) return { status, body };
  // Only one request is open, so nothing follows the last chunk: check the end of the bytes.
  const isWhole =
    length === undefined ? body.subarray(-lastChunk.length).equals(lastChunk) : body.length >= Number(length);
  return isWhole ? { status, body } : null;
}

export class HttpConnection implements Disposable {
  readonly #socket: Socket;
  #received: readonly Buffer[] = [];
  #waiting: PromiseWithResolvers<HttpAnswer> | null = null;
  #failure: Error | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new AppError('unavailable', 'the server closed the connection')));
  }

  static async open({ host, port }: Endpoint): Promise<HttpConnection> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const socket = connect({ host, port, timeout: connectTimeoutMs });
    socket.once('connect', resolve).once('error', reject);
    socket.once('timeout', () => reject(new AppError('timeout', 'the server did not accept the connection')));
    try {
      await promise;
    } catch (error) {
      socket.destroy();
      throw error;
    }
    socket.setTimeout(0);
    return new HttpConnection(socket);
  }

  /** Raises `unavailable` when the connection is lost or disposed. */
  send(request: Buffer): Promise<HttpAnswer> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    this.#waiting = Promise.withResolvers<HttpAnswer>();
    this.#received = [];
    this.#socket.write(request);
    return this.#waiting.promise;
  }

  /** Like `send`, but raises `internal` with the answer when the status differs. */
  async expect(status: number, request: Buffer): Promise<Buffer> {
    const answer = await this.send(request);
    if (answer.status === status) return answer.body;
    const text = answer.body.toString('utf8', 0, 500);
    throw new AppError('internal', `the server answered ${answer.status}: ${text}`);
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    this.#received = [...this.#received, chunk];
    const bytes = this.#received.length === 1 ? chunk : Buffer.concat(this.#received);
    const answer = parseAnswer(bytes);
    if (answer === null) return;
    this.#waiting?.resolve(answer);
    this.#waiting = null;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#waiting?.reject(this.#failure);
    this.#waiting = null;
  }
}
