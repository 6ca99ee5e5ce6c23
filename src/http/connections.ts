/**
 * The connections of a server, counted by address and by the key sent on them. Clients without a key are
 * accepted while there is room; after that, each new one evicts the oldest connection of the address with the
 * most, so a flood evicts itself. They never evict connections with a valid key, and nobody evicts the
 * operator's.
 */
import { isIPv6 } from 'node:net';
import type { Duplex } from 'node:stream';
import { AppError } from '../core/errors.ts';
import { Connection } from './connection.ts';

export interface ConnectionLimits {
  /** Clients without a key. */
  readonly strangers: number;
  /** Of those, from one address other than this host's. */
  readonly strangersPerAddress: number;
  /** Callers of one tenant. */
  readonly perTenant: number;
  /** Callers of all tenants. */
  readonly tenants: number;
}

/**
 * A connection uses 16 KiB, plus 16 KiB while its headers arrive: at most 40 MiB for clients without a key.
 */
export const connectionLimits: ConnectionLimits = {
  strangers: 1024,
  strangersPerAddress: 256,
  perTenant: 1024,
  tenants: 2048,
};

export class Connections {
  readonly #limits: ConnectionLimits;
  /** By address, oldest first. */
  readonly #strangers = new Map<string, Set<Connection>>();
  #strangersCount = 0;
  /** By tenant. */
  readonly #tenants = new Map<string, number>();
  #tenantsCount = 0;

  constructor(limits: ConnectionLimits = connectionLimits) {
    this.#limits = limits;
  }

  /** Registers a new connection; `remoteAddress` is absent on a unix socket. */
  open(socket: Duplex, remoteAddress: string | undefined): Connection {
    const address = clientOf(remoteAddress);
    const connection = new Connection(socket, address, (admitted) => this.#admit(admitted));
    const peers = this.#strangers.get(address) ?? new Set();
    this.#strangers.set(address, peers.add(connection));
    this.#strangersCount += 1;
    socket.once('close', () => this.#forgetStranger(connection));
    const isCrowded = !isOwnHost(address) && peers.size > this.#limits.strangersPerAddress;
    if (isCrowded) this.#evict(peers);
    else if (this.#strangersCount > this.#limits.strangers) this.#evict(this.#largest());
    return connection;
  }

  /** Number of clients without a key. */
  get strangers(): number {
    return this.#strangersCount;
  }

  #largest(): Set<Connection> {
    let largest = new Set<Connection>();
    for (const peers of this.#strangers.values()) if (peers.size > largest.size) largest = peers;
    return largest;
  }

  #evict(peers: Set<Connection>): void {
    const [oldest] = peers;
    if (oldest === undefined) return;
    this.#forgetStranger(oldest);
    oldest.socket.destroy();
  }

  #admit(connection: Connection): void {
    const { holder } = connection;
    if (typeof holder !== 'string') {
      this.#forgetStranger(connection);
      return;
    }
    const held = this.#tenants.get(holder) ?? 0;
    if (held >= this.#limits.perTenant || this.#tenantsCount >= this.#limits.tenants) {
      connection.holder = undefined;
      throw new AppError(
        'exhausted',
        'too many connections are open with keys of your tenant, or of all tenants',
        {
          hint: 'Close idle connections, then try again.',
        },
      );
    }
    this.#forgetStranger(connection);
    this.#tenants.set(holder, held + 1);
    this.#tenantsCount += 1;
    connection.socket.once('close', () => {
      const left = (this.#tenants.get(holder) ?? 1) - 1;
      if (left > 0) this.#tenants.set(holder, left);
      else this.#tenants.delete(holder);
      this.#tenantsCount -= 1;
    });
  }

  #forgetStranger(connection: Connection): void {
    const peers = this.#strangers.get(connection.address);
    if (!peers?.delete(connection)) return;
    this.#strangersCount -= 1;
    if (peers.size === 0) this.#strangers.delete(connection.address);
  }
}

/** One client may own the whole /64 of its IPv6 address. */
function clientOf(address: string | undefined): string {
  if (address === undefined) return 'unix';
  const plain = address.replace(/^::ffff:(?=\d+\.)/, '');
  return isIPv6(plain) && plain !== '::1' ? networkOf(plain) : plain;
}

function networkOf(address: string): string {
  const [head = '', tail = ''] = address.split('::');
  const left = head.split(':').filter((part) => part !== '');
  const right = tail.split(':').filter((part) => part !== '');
  const isShort = address.includes('::');
  const zeros = isShort ? Array(Math.max(0, 8 - left.length - right.length)).fill('0') : [];
  return `${[...left, ...zeros, ...right].slice(0, 4).join(':')}::/64`;
}

function isOwnHost(address: string): boolean {
  return address === 'unix' || address === '::1' || address.startsWith('127.');
}
