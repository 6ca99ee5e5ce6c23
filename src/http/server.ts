/** The node:http server under the application: limits against slow clients, and a drain that does not wait for idle ones. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { AppError } from '../core/errors.ts';

/** Time a client has to send its headers, and its whole request. */
const headersTimeoutMs = 15_000;
const requestTimeoutMs = 60_000;
const connectionsMax = 4096;

export interface HttpServer {
  readonly host: string;
  readonly port: number;
  /** Refuses new requests, lets those under way end for at most `graceMs`, then cuts them. */
  close(graceMs: number): Promise<void>;
}

/** Raises `unavailable` when the address is taken or cannot be had. */
export async function listen(
  fetch: (request: Request) => Response | Promise<Response>,
  host: string,
  port: number,
): Promise<HttpServer> {
  const handle = getRequestListener(fetch);
  let isDraining = false;
  const server = createServer(
    { headersTimeout: headersTimeoutMs, requestTimeout: requestTimeoutMs },
    (req, res) => {
      if (isDraining) res.setHeader('Connection', 'close');
      void handle(req, res);
    },
  );
  server.maxConnections = connectionsMax;
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
      await promise;
      clearTimeout(timer);
    },
  };
}

function bind(server: Server, host: string, port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', (error: NodeJS.ErrnoException) => {
    const why = error.code === 'EADDRINUSE' ? 'is in use' : `cannot be had (${error.code ?? error.message})`;
    reject(
      new AppError('unavailable', `address ${host}:${port} ${why}`, {
        cause: error,
        hint: 'Set PORT to a free port, or stop what uses this one.',
      }),
    );
  });
  server.listen(port, host, resolve);
  return promise;
}
