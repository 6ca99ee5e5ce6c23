/** The proxy's listener: Node's HTTP server with limits on strangers. Decides nothing about where requests go. */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import { AppError } from '../core/errors.ts';
import { isOfThisHost } from './headers.ts';
import type { ReverseProxy } from './reverse-proxy.ts';
import { type Certificates, tlsVersionMin } from './tls/certificates.ts';

export interface ProxyServer {
  readonly host: string;
  readonly port: number;
  /** Ends idle connections at once and others after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

export interface ProxyPlace {
  readonly host: string;
  readonly port: number;
  /** Given: the listener speaks TLS. */
  readonly certificates?: Certificates;
  /** Answers a request in place of the proxy; false: it is the proxy's. */
  readonly before?: (...request: Parameters<RequestListener>) => boolean;
}

export interface ProxyLimits {
  readonly headersTimeoutMs?: number;
  readonly keepAliveMs?: number;
  readonly connectionsPerAddressMax?: number;
}

const headersTimeoutMsDefault = 30_000;
const keepAliveMsDefault = 75_000;
/** Without a byte in either direction. A stream of events should say something more often. */
const quietMs = 600_000;
const connectionsMax = 10_000;
/** Of one client; those of this host may be all clients of a proxy before this one. */
const connectionsPerAddressMaxDefault = 512;
/** A certificate may have to be fetched first. */
const handshakeMs = 60_000;
const headerBytesMax = 64 * 1024;
const checkIntervalMs = 1_000;
const backlogMax = 1024;

/** Raises `unavailable` when the address is in use or not available. */
export async function listenAsProxy(
  proxy: ReverseProxy,
  place: ProxyPlace,
  limits: ProxyLimits = {},
): Promise<ProxyServer> {
  const { headersTimeoutMs = headersTimeoutMsDefault, keepAliveMs = keepAliveMsDefault } = limits;
  const server = serverOf(place.certificates, {
    headersTimeout: headersTimeoutMs,
    // A large upload may take long; a client that stops is ended by the timeout below.
    requestTimeout: 0,
    keepAliveTimeout: keepAliveMs,
    keepAlive: true,
    noDelay: true,
    maxHeaderSize: headerBytesMax,
    connectionsCheckingInterval: Math.min(checkIntervalMs, headersTimeoutMs),
    insecureHTTPParser: false,
    // Anything else, such as h2c, could carry requests that nobody has checked.
    shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === 'websocket',
  });
  server.maxConnections = connectionsMax;
  server.setTimeout(quietMs);
  limitClients(server, limits.connectionsPerAddressMax ?? connectionsPerAddressMaxDefault);
  const serve: RequestListener = (incoming, outgoing) => {
    if (!place.before?.(incoming, outgoing)) void proxy.serve(incoming, outgoing);
  };
  server.on('request', serve);
  // The program in the guest decides whether the client continues.
  server.on('checkContinue', serve);
  server.on('checkExpectation', serve);
  const upgraded = new Set<Socket>();
  server.on('upgrade', (incoming: IncomingMessage, socket: Socket, head: Buffer) => {
    upgraded.add(socket);
    socket.once('close', () => upgraded.delete(socket));
    socket.on('error', () => socket.destroy());
    void proxy.upgrade(incoming, socket, head);
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
    socket.end(badRequest(error.code));
  });
  await bind(server, place);
  return {
    host: place.host,
    port: (server.address() as AddressInfo).port,
    async close(graceMs) {
      const { promise, resolve } = Promise.withResolvers<void>();
      server.close(() => resolve());
      server.closeIdleConnections();
      const timer = setTimeout(() => {
        server.closeAllConnections();
        for (const socket of upgraded) socket.destroy();
      }, graceMs);
      for (const socket of upgraded) socket.end();
      await promise;
      clearTimeout(timer);
    },
  };
}

function serverOf(certificates: Certificates | undefined, options: ServerOptions): Server {
  if (certificates === undefined) return createServer(options);
  const server = createTlsServer({
    ...options,
    ...{ ALPNProtocols: ['http/1.1'], minVersion: tlsVersionMin, handshakeTimeout: handshakeMs },
    SNICallback: (name, done: (error: Error | null, context?: SecureContext) => void) =>
      void certificates
        .contextOf(name.toLowerCase())
        .then(
          (context) =>
            context === null ? done(new Error('no certificate for this name')) : done(null, context),
          done,
        ),
  });
  certificates.attach(server);
  return server;
}

function limitClients(server: Server, most: number): void {
  const counts = new Map<string, number>();
  server.on('connection', (socket: Socket) => {
    const { remoteAddress: address = '' } = socket;
    if (isOfThisHost(address)) return;
    const count = (counts.get(address) ?? 0) + 1;
    if (count > most) return void socket.destroy();
    counts.set(address, count);
    socket.once('close', () => {
      const left = (counts.get(address) ?? 1) - 1;
      if (left > 0) counts.set(address, left);
      else counts.delete(address);
    });
  });
}

/** A complete answer that ends the connection, because later bytes on it cannot be interpreted. */
function badRequest(code: string | undefined): string {
  const [status, message] =
    code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? ['408 Request Timeout', 'The request did not arrive in time']
      : code === 'HPE_HEADER_OVERFLOW'
        ? ['431 Request Header Fields Too Large', 'The headers are too large']
        : ['400 Bad Request', 'The request is not valid HTTP'];
  const body = JSON.stringify({ error: message });
  const head = `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close`;
  return `HTTP/1.1 ${status}\r\n${head}\r\n\r\n${body}`;
}

function bind(server: Server, { host, port }: ProxyPlace): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', (error: NodeJS.ErrnoException) => {
    const why = error.code === 'EADDRINUSE' ? 'is in use' : `cannot be had (${error.code ?? error.message})`;
    reject(
      new AppError('unavailable', `address ${host}:${port} of the reverse proxy ${why}`, {
        cause: error,
        hint: 'Set PROXY_PORT to a free port, or FLOTILLA_PROXY_LISTEN (with TLS: PROXY_TLS_LISTEN) to an address of this host.',
      }),
    );
  });
  server.listen({ host, port, backlog: backlogMax }, resolve);
  return promise;
}
