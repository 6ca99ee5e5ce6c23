/**
 * The node:http server under the application: request ids, limits against slow and greedy clients, answers to
 * input that is not HTTP, and a shutdown that does not wait for idle clients.
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
import type { RequestBindings } from './context.ts';
import type { RefusalStatus } from './errors.ts';
import { nameRequest, newRequestId, requestIdHeader, requestIdOf } from './request-id.ts';
import { isForWebSocket, Upgrade } from './upgrade.ts';

/** Limit for sending the headers. Whoever reads a body sets its deadline. */
const headersTimeoutMsDefault = 15_000;
/** Proxies commonly close idle connections after 60 s; they must do so before we do. */
const keepAliveMsDefault = 75_000;
/** How often Node checks for connections over that limit. */
const checkIntervalMs = 5_000;
/** How long a client may continue sending a refused body. */
const lingerMsDefault = 10_000;
const sweepMs = 50;
/** Length of the accept queue; a client that does not fit retries a second later. */
const backlogMax = 4096;
/** Idle time after which TCP checks whether the client still exists. */
const keepAliveDelayMs = 60_000;

export interface HttpServer {
  readonly host: string;
  /** 0 on a unix socket. */
  readonly port: number;
  /** Current number of connections. */
  connections(): Promise<number>;
  /** Refuses new requests, lets running ones finish for at most `graceMs`, then closes their connections. */
  close(graceMs: number): Promise<void>;
}

export interface ListenOptions {
  /** Makes the JSON body of a refusal; without it, refusals have no body. */
  readonly refuse?: (status: RefusalStatus, requestId: string | null) => string;
  readonly headersTimeoutMs?: number;
  /** How long a connection stays open for the next request. */
  readonly keepAliveMs?: number;
  /** See `linger`. */
  readonly lingerMs?: number;
  /** How long a client may read nothing of its answer. */
  readonly stalledMs?: number;
  readonly connectionLimits?: ConnectionLimits;
}

export type Fetch = (
  request: Request,
  bindings: HttpBindings & RequestBindings,
) => Response | Promise<Response>;

/** An address, or the path of a unix socket. */
export type Place = { readonly host: string; readonly port: number } | { readonly path: string };

/** Raises `unavailable` when the address is in use or not available. */
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
      const upgrade = upgrades.get(incoming) ?? null;
      return fetch(request, { incoming, outgoing, connection, isHead: heads.has(incoming), upgrade });
    },
    {
      autoCleanupIncoming: false,
      // Raised before the application runs: the Host or target is not part of a valid URL.
      errorHandler: () =>
        new Response(refuse(400, null), { status: 400, headers: { 'Content-Type': 'application/json' } }),
    },
  );
  const heads = new WeakSet<IncomingMessage>();
  const upgrades = new WeakMap<IncomingMessage, Upgrade>();
  const openUpgrades = new Set<Upgrade>();
  let isDraining = false;
  const serve = (incoming: IncomingMessage, outgoing: ServerResponse) => {
    // Node continues to parse already received data after the connection was closed.
    if (incoming.socket.destroyed) return;
    nameRequest(incoming, outgoing);
    if (incoming.method === 'HEAD') {
      // Served as GET, so that the headers are the same, including Content-Length; Node omits the body.
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
      // Detects vanished clients even while an answer has nothing to send.
      keepAlive: true,
      keepAliveInitialDelay: keepAliveDelayMs,
      connectionsCheckingInterval: Math.min(checkIntervalMs, headersTimeoutMs),
      // Other requests that ask for an upgrade are answered as if they did not.
      shouldUpgradeCallback: isForWebSocket,
    },
    serve,
  );
  server.on('connection', connectionOf);
  // `100 Continue` is sent only when the body is read, so that a client without a key is refused before.
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
  // Node's timer counts from the last byte in either direction.
  const onStalled = (socket: Socket) => {
    if (socket.writableLength > 0 || !connectionOf(socket).isBusy) socket.destroy();
  };
  server.setTimeout(stalledMs, onStalled);
  // Node has let go of the connection: its errors, timeouts and end are ours to handle.
  server.on('upgrade', (incoming: IncomingMessage, duplex: Duplex, head: Buffer) => {
    const socket = duplex as Socket;
    if (socket.destroyed) return;
    socket.on('error', () => socket.destroy());
    socket.setTimeout(stalledMs, () => onStalled(socket));
    const upgrade = new Upgrade(incoming, socket, head);
    const { outgoing } = upgrade;
    upgrades.set(incoming, upgrade);
    openUpgrades.add(upgrade);
    socket.once('close', () => openUpgrades.delete(upgrade));
    if (isDraining) upgrade.drain();
    nameRequest(incoming, outgoing);
    connectionOf(socket).enter(incoming, outgoing, () => {
      upgrade.open();
      void handle(incoming, outgoing);
    });
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
      for (const upgrade of openUpgrades) upgrade.drain();
      const timer = setTimeout(() => {
        server.closeAllConnections();
        for (const upgrade of openUpgrades) upgrade.socket.destroy();
      }, graceMs);
      // Connections may become idle during the shutdown.
      const sweep = setInterval(() => server.closeIdleConnections(), sweepMs);
      await promise;
      clearTimeout(timer);
      clearInterval(sweep);
    },
  };
}

/**
 * Reads the rest of a body that was answered before it was read. Closing a connection with unread bytes
 * resets it, and the client, still sending, may never see the answer.
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

/** A complete answer that also ends the connection, because later bytes on it cannot be interpreted. */
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
