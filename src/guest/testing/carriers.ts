/** Where tests' guests listen: in memory, or on real unix sockets as behind a virtio port. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { GuestAddress } from '../../core/ports/engine.ts';
import { MemoryTransport } from '../transports/memory.ts';
import type { Transports } from '../transports/transport.ts';
import { dialVirtioSerial } from '../transports/virtio-serial.ts';

export interface Carriers {
  readonly transports: Transports;
  address(key: string): GuestAddress;
  /** Resolves when connections to `key` are accepted. */
  listen(key: string, onConnection: (guestEnd: Duplex) => void): Promise<void>;
  close(): Promise<void>;
}

export class MemoryCarriers implements Carriers {
  readonly #memory = new MemoryTransport();
  readonly transports: Transports = { memory: this.#memory.dial };

  address(key: string): GuestAddress {
    return { transport: 'memory', key };
  }

  async listen(key: string, onConnection: (guestEnd: Duplex) => void): Promise<void> {
    this.#memory.listen(key, onConnection);
  }

  async close(): Promise<void> {}
}

export class UnixCarriers implements Carriers {
  readonly transports: Transports = { 'virtio-serial': dialVirtioSerial };
  readonly #directory = mkdtempSync(join(tmpdir(), 'c-'));
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();

  address(key: string): GuestAddress {
    return { transport: 'virtio-serial', path: join(this.#directory, key) };
  }

  async listen(key: string, onConnection: (guestEnd: Duplex) => void): Promise<void> {
    const server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket)).on('error', () => undefined);
      onConnection(socket);
    });
    this.#servers.push(server);
    const { promise, resolve } = Promise.withResolvers<void>();
    server.listen(join(this.#directory, key), resolve);
    await promise;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
