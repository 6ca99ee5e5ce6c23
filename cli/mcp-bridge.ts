/**
 * Forwards MCP messages between a program's standard streams and the daemon's `/mcp`. Has no tools of its own. When the
 * daemon has ended the session (a restart, half an hour without a message), it opens another one without the client's
 * help; a call whose answer was lost is answered with an error, never repeated.
 */
import {
  StreamableHTTPClientTransport,
  StreamableHTTPError,
} from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import {
  type InitializeRequest,
  InitializeResultSchema,
  isInitializeRequest,
  isJSONRPCErrorResponse,
  isJSONRPCRequest,
  isJSONRPCResultResponse,
  type JSONRPCMessage,
  type JSONRPCRequest,
  type RequestId,
} from '@modelcontextprotocol/sdk/types.js';
import type { FetchLike } from '../sdk/src/index.ts';

export interface McpBridgeOptions {
  /** Of the daemon's API. */
  readonly url: string;
  readonly key: string | undefined;
  readonly fetch: FetchLike;
  /** For people: what went wrong without an answer that could say so. */
  readonly note: (text: string) => void;
}

/** The protocol leaves codes from -32000 to servers. */
const lostCode = -32_000;

export class McpBridge {
  readonly #client: Transport;
  readonly #options: McpBridgeOptions;
  /** Requests of the client without an answer. */
  readonly #open = new Set<RequestId>();
  #daemon: StreamableHTTPClientTransport;
  #initialize: (JSONRPCRequest & InitializeRequest) | null = null;
  #renewal: Promise<void> | null = null;

  constructor(client: Transport, options: McpBridgeOptions) {
    this.#client = client;
    this.#options = options;
    this.#daemon = this.#makeTransport((message) => this.#toClient(message));
  }

  async start(): Promise<void> {
    this.#client.onmessage = (message) => void this.#toDaemon(message);
    this.#client.onerror = (error) => this.#options.note(`A message cannot be read: ${error.message}`);
    await this.#daemon.start();
    await this.#client.start();
  }

  /** Ends the session on the daemon, too, if the daemon can be reached. */
  async close(): Promise<void> {
    await this.#client.close();
    await this.#daemon.terminateSession().catch(() => undefined);
    await this.#daemon.close();
  }

  async #toDaemon(message: JSONRPCMessage): Promise<void> {
    if (isJSONRPCRequest(message)) this.#open.add(message.id);
    if (isInitializeRequest(message)) this.#initialize = message as JSONRPCRequest & InitializeRequest;
    try {
      await this.#send(message);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (isJSONRPCRequest(message))
        await this.#fail(message.id, `The daemon did not take the message: ${reason}`);
      else this.#options.note(`The daemon did not take a message: ${reason}`);
    }
  }

  async #send(message: JSONRPCMessage): Promise<void> {
    const used = this.#daemon;
    try {
      await used.send(message);
    } catch (error) {
      // 404 says that the session has ended, so nothing was done.
      const hasEnded = error instanceof StreamableHTTPError && error.code === 404;
      if (!hasEnded || this.#initialize === null || isInitializeRequest(message)) throw error;
      if (used === this.#daemon) this.#renewal ??= this.#renew(this.#initialize);
      await this.#renewal;
      await this.#daemon.send(message);
    }
  }

  /** Repeats the client's initialization on a new session. */
  async #renew(initialize: JSONRPCRequest): Promise<void> {
    try {
      const { promise: isReady, resolve, reject } = Promise.withResolvers<void>();
      let isInitialized = false;
      const fresh = this.#makeTransport((message) => {
        if (isInitialized) return this.#toClient(message);
        if (isJSONRPCErrorResponse(message)) return reject(new Error(message.error.message));
        isInitialized = true;
        setVersion(fresh, message);
        resolve();
      });
      await fresh.start();
      await fresh.send(initialize);
      await isReady;
      await fresh.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
      await this.#daemon.close();
      this.#daemon = fresh;
    } finally {
      this.#renewal = null;
    }
  }

  #toClient(message: JSONRPCMessage): void {
    if (isJSONRPCResultResponse(message) || isJSONRPCErrorResponse(message)) {
      if (message.id === undefined || !this.#open.delete(message.id)) return;
      if (message.id === this.#initialize?.id) setVersion(this.#daemon, message);
    }
    void this.#client.send(message);
  }

  async #fail(id: RequestId, message: string): Promise<void> {
    if (!this.#open.delete(id)) return;
    await this.#client.send({ jsonrpc: '2.0', id, error: { code: lostCode, message } });
  }

  #makeTransport(onMessage: (message: JSONRPCMessage) => void): StreamableHTTPClientTransport {
    const { url, key, fetch, note } = this.#options;
    const transport = new StreamableHTTPClientTransport(new URL('/mcp', url), {
      requestInit: key === undefined ? {} : { headers: { Authorization: `Bearer ${key}` } },
      fetch: async (target, init = {}) => {
        const response = await fetch(String(target), init);
        return init.method === 'POST' ? this.#watched(response, idOf(init.body)) : response;
      },
    });
    transport.onmessage = onMessage;
    transport.onerror = (error) => {
      // What a request's own answer says need not be said twice, and a stream that ends is tried again.
      if (!(error instanceof StreamableHTTPError)) note(error.message);
    };
    return transport;
  }

  /** Answers the request with an error when the stream with its answer ends without it. */
  #watched(response: Response, id: RequestId | null): Response {
    if (!response.ok || response.body === null || id === null) return response;
    const lost = () => {
      // What has been read is handled first.
      setImmediate(
        () => void this.#fail(id, 'The connection to the daemon was lost; it is unknown what was done'),
      );
    };
    const reader = response.body.getReader();
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        const { value, done } = await reader.read().catch(() => ({ value: undefined, done: true }));
        if (value !== undefined) return controller.enqueue(value);
        if (done) controller.close();
        lost();
      },
      cancel: (reason) => reader.cancel(reason),
    });
    return new Response(body, { status: response.status, headers: response.headers });
  }
}

function setVersion(daemon: StreamableHTTPClientTransport, message: JSONRPCMessage): void {
  if (!isJSONRPCResultResponse(message)) return;
  const { data } = InitializeResultSchema.safeParse(message.result);
  if (data !== undefined) daemon.setProtocolVersion(data.protocolVersion);
}

function idOf(body: unknown): RequestId | null {
  const message: unknown = typeof body === 'string' ? JSON.parse(body) : null;
  return isJSONRPCRequest(message) ? message.id : null;
}
