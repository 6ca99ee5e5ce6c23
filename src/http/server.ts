/**
 * The node:http server under the application: a name for every request, limits against slow and greedy clients, an
 * answer to what is no HTTP, and a drain that does not wait for idle ones.
 */
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { getRequestListener, type HttpBindings } from '@hono/node-server';
import { AppError } from '../core/errors.ts';
import { hasBody } from './body.ts';
import { type Connection, stalledMsDefault } from './connection.ts';
import { type ConnectionLimits, Connections } from './connections.ts';
import type { RefusalStatus } from './errors.ts';
import { nameRequest, newRequestId, requestIdHeader, requestIdOf } from './request-id.ts';

/** Time a client has to send its headers. Who reads a body sets a deadline for that. */
const headersTimeoutMsDefault = 15_000;
/** Proxies that keep connections for their next request commonly give them up after 60 s: they must be the first to. */
const keepAliveMsDefault = 75_000;
/** How often Node looks for connections that overran it. */
const checkIntervalMs = 5_000;
/** How long a client may go on sending what was refused. */
const lingerMsDefault = 10_000;
const sweepMs = 50;
/** Connections that wait to be taken in: where there is no place for one, its client tries again a second later. */
const backlogMax = 4096;
/** Silence after which TCP asks whether the client is still there. */
const keepAliveDelayMs = 60_000;

export interface HttpServer {
  readonly host: string;
  /** 0 on a unix socket. */
  readonly port: number;
  /** How many there are now. */
  connections(): Promise<number>;
  /** Refuses new requests, lets those under way end for at most `graceMs`, then cuts them. */
  close(graceMs: number): Promise<void>;
}

export interface ListenOptions {
  /** The JSON that such a request is answered with; without it there is no body. */
  readonly refuse?: (status: RefusalStatus, requestId: string | null) => string;
  readonly headersTimeoutMs?: number;
  /** How long a connection stays open for another request. */
  readonly keepAliveMs?: number;
  /** See `linger`. */
  readonly lingerMs?: number;
  /** How long a client may take nothing of what is sent to it. */
  readonly stalledMs?: number;
  readonly connectionLimits?: ConnectionLimits;
}

export type Fetch = (
  request: Request,
  bindings: HttpBindings & { readonly connection: Connection; readonly isHead: boolean },
) => Response | Promise<Response>;

/** Where to listen: an address, or the path of a unix socket. */
export type Place = { readonly host: string; readonly port: number } | { readonly path: string };

/** Raises `unavailable` when the address is taken or cannot be had. */
export async function listen(fetch: Fetch, place: Place, options: ListenOptions = {}): Promise<HttpServer> {
  const {
    refuse = () => '',
    headersTimeoutMs = headersTimeoutMsDefault,
    keepAliveMs = keepAliveMsDefault,
    lingerMs = lingerMsDefault,
    stalledMs = stalledMsDefault,
  } = options;
  const connections = new Connections(options.connectionLimits);
  const bySocket = new WeakMap<Duplex, Connection>();
  const connectionOf = (socket: Socket): Connection => {
    const known = bySocket.get(socket);
    if (known) return known;
    const opened = connections.open(socket, socket.remoteAddress);
    bySocket.set(socket, opened);
    return opened;
  };
  const handle = getRequestListener(
    (request, bindings) => {
      const { incoming, outgoing } = bindings as HttpBindings;
      const connection = connectionOf(incoming.socket);
      return fetch(request, { incoming, outgoing, connection, isHead: heads.has(incoming) });
    },
    {
      autoCleanupIncoming: false,
      // Raised before the application is asked: a Host or a target that makes no URL.
      errorHandler: () =>
        new Response(refuse(400, null), { status: 400, headers: { 'Content-Type': 'application/json' } }),
    },
  );
  const heads = new WeakSet<IncomingMessage>();
  let isDraining = false;
  const serve = (incoming: IncomingMessage, outgoing: ServerResponse) => {
    // Node goes on to parse what has been read of a flood when its connection is cut.
    if (incoming.socket.destroyed) return;
    nameRequest(incoming, outgoing);
    if (incoming.method === 'HEAD') {
      // Answered as GET, so that the headers are the same, Content-Length too; Node leaves the body out.
      heads.add(incoming);
      incoming.method = 'GET';
    }
    if (hasBody(incoming)) outgoing.once('finish', () => linger(incoming, lingerMs));
    connectionOf(incoming.socket).enter(incoming, outgoing, () => {
      if (isDraining) outgoing.setHeader('Connection', 'close');
      void handle(incoming, outgoing);
    });
  };
  const server = createServer(
    {
      headersTimeout: headersTimeoutMs,
      requestTimeout: 0,
      keepAliveTimeout: keepAliveMs,
      // A client that vanished is noticed also where an answer waits for something to say.
      keepAlive: true,
      keepAliveInitialDelay: keepAliveDelayMs,
      connectionsCheckingInterval: Math.min(checkIntervalMs, headersTimeoutMs),
    },
    serve,
  );
  server.on('connection', connectionOf);
  // Who reads the body tells the client to send it, so that a stranger is refused before.
  server.on('checkContinue', serve);
  server.on('checkExpectation', (incoming: IncomingMessage, outgoing: ServerResponse) => {
    nameRequest(incoming, outgoing);
    connectionOf(incoming.socket).enter(incoming, outgoing, () => {
      const body = refuse(417, requestIdOf(outgoing));
      outgoing.writeHead(417, {
        'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(body),
        Connection: 'close',
      });
      outgoing.end(body);
    });
  });
  // Node's timer counts from the last byte that moved in either direction.
  server.setTimeout(stalledMs, (socket) => {
    if (socket.writableLength > 0 || !connectionOf(socket).isBusy) socket.destroy();
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
    connectionOf(socket as Socket).refuse(() => {
      if (socket.writable) socket.end(refusal(statusOfClientError(error.code), refuse));
    });
  });
  await bind(server, place);
  const address = server.address() as AddressInfo | string;
  return {
    host: 'host' in place ? place.host : place.path,
    port: typeof address === 'string' ? 0 : address.port,
    connections() {
      const { promise, resolve, reject } = Promise.withResolvers<number>();
      server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
      return promise;
    },
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

function bind(server: Server, place: Place): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const name = 'path' in place ? place.path : `${place.host}:${place.port}`;
  server.once('error', (error: NodeJS.ErrnoException) => {
    const why = error.code === 'EADDRINUSE' ? 'is in use' : `cannot be had (${error.code ?? error.message})`;
    reject(
      new AppError('unavailable', `address ${name} ${why}`, {
        cause: error,
        hint:
          error.code === 'EADDRINUSE'
            ? 'Set PORT to a free port, or stop what uses this one.'
            : 'Set FLOTILLA_LISTEN to an address of this host, such as 127.0.0.1.',
      }),
    );
  });
  server.listen({ ...place, backlog: backlogMax }, resolve);
  return promise;
}
