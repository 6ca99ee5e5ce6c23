/**
 * A port of the host whose connections the daemon carries to a port of a guest: listens, connects to the guest for each
 * connection, and joins the two. Each side may end its direction by itself; whatever else ends a connection resets it,
 * so that no half of a transfer looks like a whole one.
 */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { type Duplex, finished } from 'node:stream';
import type { PublishedPort } from '../../core/ports/network.ts';
import type { Logger } from '../../lib/log.ts';
import { listenError } from './listen-error.ts';

export interface ForwardLimits {
  /** Connections of one port at a time; further ones are reset. */
  readonly connectionsMax: number;
  /** A connection over which nothing has gone for so long is reset. */
  readonly idleMs: number;
}

export const forwardLimits: ForwardLimits = { connectionsMax: 64, idleMs: 2 * 60 * 60_000 };

/** After this silence the kernel asks whether the client is still there. */
const keepAliveMs = 60_000;

export interface ForwardedPortOptions {
  /** Connects to the guest's port. */
  readonly dial: (signal: AbortSignal) => Promise<Duplex>;
  readonly limits: ForwardLimits;
  readonly log: Logger;
}

export class ForwardedPort {
  readonly port: PublishedPort;
  readonly #options: ForwardedPortOptions;
  readonly #server: Server;
  readonly #closing = new AbortController();
  readonly #sockets = new Set<Socket>();

  private constructor(port: PublishedPort, options: ForwardedPortOptions) {
    this.port = port;
    this.#options = options;
    const connection = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true };
    this.#server = createServer(
      { ...connection, keepAlive: true, keepAliveInitialDelay: keepAliveMs },
      (socket) => void this.#carry(socket),
    );
    this.#server.maxConnections = options.limits.connectionsMax;
  }

  /** Raises `conflict`, `invalid` and `unsupported` when the host does not let the daemon listen there. */
  static async open(port: PublishedPort, options: ForwardedPortOptions): Promise<ForwardedPort> {
    const opened = new ForwardedPort(port, options);
    await listenOn(opened.#server, port);
    return opened;
  }

  /** Resets its connections. Resolves when the host's port is free. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('the port is no longer published'));
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await closed;
  }

  async #carry(socket: Socket): Promise<void> {
    const { dial, limits, log } = this.#options;
    this.#sockets.add(socket);
    const gone = new AbortController();
    socket.once('close', () => {
      this.#sockets.delete(socket);
      gone.abort(new Error('the client has gone'));
    });
    // What ends a connection is the client's or the guest's business; both learn of it by a reset.
    socket.on('error', () => undefined);
    try {
      const program = await dial(AbortSignal.any([gone.signal, this.#closing.signal]));
      join(socket, program);
      socket.setTimeout(limits.idleMs, () => socket.resetAndDestroy());
    } catch (error) {
      if (!gone.signal.aborted)
        log.debug({ ...this.port, err: error }, 'connection to a published port refused');
      socket.resetAndDestroy();
    }
  }
}

/** Tries whether the daemon may listen there, and stops at once. Without `hostPort`: whether it is an address of the host. */
export async function tryToListen(
  port: Pick<PublishedPort, 'bind'> & { readonly hostPort: number | null },
): Promise<void> {
  const server = createServer();
  await listenOn(server, port);
  const closed = once(server, 'close');
  server.close();
  await closed;
}

async function listenOn(
  server: Server,
  { bind, hostPort }: Pick<PublishedPort, 'bind'> & { readonly hostPort: number | null },
): Promise<void> {
  // As with rules of the kernel, `::` is no address of IPv4.
  server.listen({ host: bind, port: hostPort ?? 0, exclusive: true, ipv6Only: true });
  try {
    await once(server, 'listening');
  } catch (error) {
    throw listenError(error, bind, hostPort);
  }
}

function join(socket: Socket, program: Duplex): void {
  finished(program, (error) => {
    if (error) socket.resetAndDestroy();
  });
  finished(socket, (error) => {
    if (error) program.destroy();
  });
  socket.pipe(program).pipe(socket);
}
