/**
 * The node:http server under the application: a name for every request, limits against slow clients, an answer to what
 * is no HTTP, and a drain that does not wait for idle ones.
 */
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { getRequestListener, type HttpBindings } from '@hono/node-server';
import { AppError } from '../core/errors.ts';
import { hasBody } from './body.ts';
import { nameRequest, newRequestId, requestIdHeader, requestIdOf } from './request-id.ts';

/** Time a client has to send its headers. Who reads a body sets a deadline for that. */
const headersTimeoutMsDefault = 15_000;
/** How often Node looks for connections that overran it. */
const checkIntervalMs = 5_000;
/** How long a client may go on sending what was refused. */
const lingerMsDefault = 10_000;
const connectionsMax = 4096;
const sweepMs = 50;
/** Silence after which TCP asks whether the client is still there. */
const keepAliveDelayMs = 60_000;

export interface HttpServer {
  readonly host: string;
  readonly port: number;
  /** Refuses new requests, lets those under way end for at most `graceMs`, then cuts them. */
  close(graceMs: number): Promise<void>;
}

/**
 * What keeps a request from the application: it is no HTTP, its headers come too slowly, it expects what is not known, or
 * its headers are too large.
 */
export type RefusalStatus = 400 | 408 | 417 | 431;

export interface ListenOptions {
  /** The JSON that such a request is answered with; without it there is no body. */
  readonly refuse?: (status: RefusalStatus, requestId: string | null) => string;
  readonly headersTimeoutMs?: number;
  /** See `linger`. */
  readonly lingerMs?: number;
}

type Fetch = (request: Request, bindings: HttpBindings) => Response | Promise<Response>;

/** Raises `unavailable` when the address is taken or cannot be had. */
export async function listen(
  fetch: Fetch,
  host: string,
  port: number,
  options: ListenOptions = {},
): Promise<HttpServer> {
  const {
    refuse = () => '',
    headersTimeoutMs = headersTimeoutMsDefault,
    lingerMs = lingerMsDefault,
  } = options;
  const handle = getRequestListener((request, bindings) => fetch(request, bindings as HttpBindings), {
    autoCleanupIncoming: false,
    // Raised before the application is asked: a Host or a target that makes no URL.
    errorHandler: () =>
      new Response(refuse(400, null), { status: 400, headers: { 'Content-Type': 'application/json' } }),
  });
  let isDraining = false;
  const answers = new WeakMap<Duplex, ServerResponse>();
  const serve = (incoming: IncomingMessage, outgoing: ServerResponse) => {
    nameRequest(incoming, outgoing);
    answers.set(incoming.socket, outgoing);
    if (hasBody(incoming)) outgoing.once('finish', () => linger(incoming, lingerMs));
    if (isDraining) outgoing.setHeader('Connection', 'close');
    void handle(incoming, outgoing);
  };
  const server = createServer(
    {
      headersTimeout: headersTimeoutMs,
      requestTimeout: 0,
      // A client that vanished is noticed also where an answer waits for something to say.
      keepAlive: true,
      keepAliveInitialDelay: keepAliveDelayMs,
      connectionsCheckingInterval: Math.min(checkIntervalMs, headersTimeoutMs),
    },
    serve,
  );
  // Who reads the body tells the client to send it, so that a stranger is refused before.
  server.on('checkContinue', serve);
  server.on('checkExpectation', (incoming: IncomingMessage, outgoing: ServerResponse) => {
    nameRequest(incoming, outgoing);
    const body = refuse(417, requestIdOf(outgoing));
    outgoing.writeHead(417, {
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(body),
      Connection: 'close',
    });
    outgoing.end(body);
  });
  server.maxConnections = connectionsMax;
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const refuseNow = () => {
      if (socket.writable) socket.end(refusal(statusOfClientError(error.code), refuse));
    };
    const answer = answers.get(socket);
    const isUnderWay = answer !== undefined && !answer.writableFinished;
    if (error.code === 'ECONNRESET') socket.destroy();
    else if (!isUnderWay) refuseNow();
    // What follows a whole request is wrong, not the request.
    else if (answer.req.complete) answer.once('finish', refuseNow);
    else if (answer.headersSent) socket.destroy();
    else refuseNow();
  });
  await bind(server, host, port);
  const address = server.address() as AddressInfo;
  return {
    host,
    port: address.port,
    async close(graceMs) {
      isDraining = true;
      const { promise, resolve } = Promise.withResolvers<void>();
      server.close(() => resolve());
      server.closeIdleConnections();
      const timer = setTimeout(() => server.closeAllConnections(), graceMs);
      // Connections that answer their last request meanwhile.
      const sweep = setInterval(() => server.closeIdleConnections(), sweepMs);
      await promise;
      clearTimeout(timer);
      clearInterval(sweep);
    },
  };
}

/**
 * Takes the rest of a body that was answered before it was read. A connection closed over unread bytes is reset, and the
 * client, which is still sending, may never see the answer.
 */
function linger(incoming: IncomingMessage, lingerMs: number): void {
  if (incoming.complete || incoming.destroyed) return;
  const { socket } = incoming;
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  const done = () => {
    clearTimeout(timer);
    // The connection may outlive many requests.
    socket.off('close', done);
  };
  incoming.once('end', done);
  socket.once('close', done);
  incoming.resume();
}

function statusOfClientError(code: string | undefined): RefusalStatus {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 408;
  return code === 'HPE_HEADER_OVERFLOW' ? 431 : 400;
}

/** A whole answer, after which the connection ends: what follows on it cannot be told apart. */
function refusal(status: RefusalStatus, refuse: NonNullable<ListenOptions['refuse']>): string {
  const requestId = newRequestId();
  const body = refuse(status, requestId);
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Connection: close',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `${requestIdHeader}: ${requestId}`,
  ];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}

function bind(server: Server, host: string, port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', (error: NodeJS.ErrnoException) => {
    const why = error.code === 'EADDRINUSE' ? 'is in use' : `cannot be had (${error.code ?? error.message})`;
    reject(
      new AppError('unavailable', `address ${host}:${port} ${why}`, {
        cause: error,
        hint:
          error.code === 'EADDRINUSE'
            ? 'Set PORT to a free port, or stop what uses this one.'
            : 'Set FLOTILLA_LISTEN to an address of this host, such as 127.0.0.1.',
      }),
    );
  });
  server.listen(port, host, resolve);
  return promise;
}
