/**
 * The SSH gateway: `ssh MACHINE@HOST -p 2222` without an sshd in the guest. It listens, limits who may be connected, and makes
 * a connection of each client; commands, files and connections go through core, over the guest link. Made by `main`.
 */
import { createServer, type Server as NetServer, type Socket } from 'node:net';
import type { Algorithms } from 'ssh2';
import { AppError } from '../core/errors.ts';
import { deadline } from '../lib/abort.ts';
import { type ConnectionContext, type ConnectionDeps, SshConnection } from './connection.ts';
import { type StrangerLimits, Strangers } from './strangers.ts';

export interface GatewayLimits extends StrangerLimits {
  /** From the connection to the end of authentication. */
  readonly loginMs: number;
  /** Authenticated clients of one tenant, and of all. */
  readonly perTenant: number;
  readonly clients: number;
}

/** As OpenSSH: two minutes are a long time to type a password, and nobody types one here. */
export const gatewayLimits: GatewayLimits = {
  strangers: 128,
  failuresPerMinute: 120,
  loginMs: 30_000,
  perTenant: 256,
  clients: 1024,
};

export interface GatewayOptions {
  /** Private keys in OpenSSH's format. */
  readonly hostKeys: readonly string[];
  readonly limits?: GatewayLimits;
}

export interface ListenPlace {
  readonly host: string;
  readonly port: number;
  /** Every client there enters this machine; its login name is the user in the guest. */
  readonly machineId?: string;
}

/**
 * No compression, which makes much of little; no ChaCha20, which ssh2 computes in JavaScript; nothing with SHA-1. ssh2 offers
 * strict key exchange by itself.
 */
const algorithms = {
  kex: [
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'diffie-hellman-group16-sha512',
  ],
  cipher: ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'aes128-ctr', 'aes256-ctr'],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha2-512'],
  compress: ['none'],
} satisfies Algorithms;

export class SshGateway {
  readonly #deps: ConnectionDeps;
  readonly #options: GatewayOptions;
  readonly #limits: GatewayLimits;
  readonly #strangers: Strangers;
  readonly #servers = new Map<NetServer, ListenPlace>();
  readonly #sockets = new Set<Socket>();
  readonly #connections = new Set<SshConnection>();
  /** By tenant. */
  readonly #clients = new Map<string, number>();
  #clientCount = 0;

  constructor(deps: ConnectionDeps, options: GatewayOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#limits = options.limits ?? gatewayLimits;
    this.#strangers = new Strangers(this.#limits);
  }

  /** Returns the port. Raises `unavailable` when the address is taken. */
  async listen(place: ListenPlace): Promise<number> {
    const server = createServer({ noDelay: true, keepAlive: true }, (socket) => this.#serve(socket, place));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', reject);
    server.listen({ host: place.host, port: place.port, backlog: 128 }, resolve);
    try {
      await promise;
    } catch (error) {
      throw new AppError(
        'unavailable',
        `cannot listen for SSH on ${place.host}:${place.port}: ${String(error)}`,
        {
          cause: error,
          hint:
            place.machineId === undefined
              ? 'Set FLOTILLA_SSH_PORT to another port, or to 0 for none.'
              : `Free the port, or give machine ${place.machineId} another one.`,
        },
      );
    }
    server.off('error', reject);
    server.on('error', (error) => this.#deps.log.error({ err: error }, 'SSH listener failed'));
    this.#servers.set(server, place);
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : place.port;
  }

  /** Ends the listeners of a machine. Its clients stay connected. */
  stopListening(machineId: string): void {
    for (const [server, place] of this.#servers) {
      if (place.machineId !== machineId) continue;
      this.#servers.delete(server);
      server.close();
    }
  }

  /** Stops listening, says goodbye, and resolves when all clients are gone. */
  async close(): Promise<void> {
    const closed = [...this.#servers.keys()].map(
      (server) => new Promise<void>((resolve) => server.close(() => resolve())),
    );
    const reason = new AppError('unavailable', 'the daemon is shutting down', {
      hint: 'The machine keeps running; connect again in a moment.',
    });
    for (const connection of this.#connections) connection.close(reason);
    const grace = deadline(1000, () => reason);
    grace.signal.addEventListener('abort', () => {
      for (const socket of this.#sockets) socket.destroy();
    });
    await Promise.all(closed);
    grace.clear();
  }

  #serve(socket: Socket, place: ListenPlace): void {
    const address = (socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/, '');
    socket.on('error', () => undefined);
    const forget = this.#strangers.add(socket, address);
    if (forget === null) return void socket.destroy();
    this.#sockets.add(socket);
    const login = deadline(this.#limits.loginMs, () => new Error('too late'));
    login.signal.addEventListener('abort', () => socket.destroy());
    socket.once('close', () => {
      login.clear();
      forget();
      this.#sockets.delete(socket);
    });
    const context = {
      socket,
      address,
      machineId: place.machineId ?? null,
      onAdmitted: ({ caller }: { readonly caller: { readonly tenant: string } }) => {
        this.#admit(socket, caller.tenant);
        login.clear();
        forget();
      },
      onGuess: () => this.#strangers.noteFailure(address),
    };
    this.#speak(socket, context).catch((error: unknown) => {
      this.#deps.log.error({ err: error }, 'SSH connection not served');
      socket.destroy();
    });
  }

  async #speak(socket: Socket, context: ConnectionContext): Promise<void> {
    // With the first connection: a daemon that nobody enters over SSH need not hold it in memory.
    const { default: ssh2 } = await import('ssh2');
    if (socket.destroyed) return;
    // One for each socket, so that each knows its own; it never listens.
    const { hostKeys } = this.#options;
    const server = new ssh2.Server({ hostKeys: [...hostKeys], algorithms, ident: 'Flotilla' }, (client) => {
      const connection = new SshConnection(client, this.#deps, context);
      this.#connections.add(connection);
      socket.once('close', () => this.#connections.delete(connection));
    });
    server.injectSocket(socket);
  }

  #admit(socket: Socket, tenant: string): void {
    const held = this.#clients.get(tenant) ?? 0;
    if (held >= this.#limits.perTenant || this.#clientCount >= this.#limits.clients) {
      throw new AppError('exhausted', 'too many SSH connections are open');
    }
    this.#clients.set(tenant, held + 1);
    this.#clientCount += 1;
    socket.once('close', () => {
      const left = (this.#clients.get(tenant) ?? 1) - 1;
      if (left > 0) this.#clients.set(tenant, left);
      else this.#clients.delete(tenant);
      this.#clientCount -= 1;
    });
  }
}
