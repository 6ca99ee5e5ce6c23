/**
 * Listens on ports of this host and makes a tunnel of each connection. A bounded number of tunnels is open at once, over
 * all ports; further connections wait for their turn, in the order in which they came, with nothing read from them.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, isIPv6, type Server, type Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { CliError } from '../errors.ts';
import type { PortPair } from './port-pairs.ts';
import { Tunnel } from './tunnel.ts';

const tunnelsMax = 128;
/** As many as a listening socket of Linux keeps that nobody has accepted. */
const waitingMax = 512;

export interface ForwarderOptions {
  /** Begins a WebSocket to a port in the machine. */
  readonly open: (port: number) => WebSocket;
  /** The daemon's address, for messages. */
  readonly url: string;
  /** Called with what a connection failed of; `about` names its ports. The others go on. */
  readonly onFailure: (error: unknown, about: string) => void;
}

interface Arrival {
  readonly local: Socket;
  readonly port: number;
  readonly about: string;
}

export class Forwarder implements AsyncDisposable {
  readonly #options: ForwarderOptions;
  readonly #servers: Server[] = [];
  readonly #tunnels = new Set<Tunnel>();
  readonly #waiting: Arrival[] = [];
  #isClosed = false;

  constructor(options: ForwarderOptions) {
    this.#options = options;
  }

  /**
   * Listens for the pair on each address; returns `127.0.0.1:8080 -> 80` for each. Throws CliError when that is impossible,
   * for example because the port is in use.
   */
  async listen({ local, remote }: PortPair, addresses: readonly string[]): Promise<readonly string[]> {
    const lines: string[] = [];
    // The port that was free on the first address is the one on all of them.
    let port = local;
    for (const address of new Set(addresses.flatMap(hostsOf))) {
      const isOptional = !addresses.includes(address) && isIPv6(address);
      const bound = await this.#bind(address, port, remote, isOptional);
      if (bound === null) continue;
      port = bound;
      lines.push(`${inUrl(address)}:${port} -> ${remote}`);
    }
    return lines;
  }

  /** Stops listening, and closes every connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    const closed = this.#servers.map((server) => {
      const closing = once(server, 'close');
      server.close();
      return closing;
    });
    for (const { local } of this.#waiting.splice(0)) local.resetAndDestroy();
    for (const tunnel of this.#tunnels) tunnel.break();
    await Promise.all(closed);
  }

  async #bind(address: string, port: number, remote: number, isOptional: boolean): Promise<number | null> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
    server.listen({ host: address, port, ipv6Only: isIPv6(address) });
    try {
      await once(server, 'listening');
    } catch (error) {
      if (isOptional && isWithoutAddress(error)) return null;
      throw listenError(`${inUrl(address)}:${port}`, remote, error);
    }
    this.#servers.push(server);
    const { port: bound } = server.address() as AddressInfo;
    const about = `${bound} -> ${remote}`;
    server.on('connection', (local) => this.#onConnection({ local, port: remote, about }));
    // A connection that could not be accepted, for example because this process has too many files open.
    server.on('error', (error) => this.#options.onFailure(error, about));
    return bound;
  }

  #onConnection(arrival: Arrival): void {
    if (this.#tunnels.size < tunnelsMax) {
      this.#carry(arrival);
      return;
    }
    // Until it has its turn, nobody else listens for its errors.
    arrival.local.on('error', () => undefined);
    if (this.#waiting.length < waitingMax) {
      this.#waiting.push(arrival);
      return;
    }
    arrival.local.resetAndDestroy();
    this.#options.onFailure(new CliError(`${tunnelsMax + waitingMax} connections are open`), arrival.about);
  }

  #carry({ local, port, about }: Arrival): void {
    const { open, url, onFailure } = this.#options;
    const tunnel = new Tunnel(local, open(port), url);
    this.#tunnels.add(tunnel);
    const onDone = () => {
      this.#tunnels.delete(tunnel);
      if (this.#isClosed) return;
      const next = this.#waiting.shift();
      if (next !== undefined) this.#carry(next);
    };
    tunnel.done.then(onDone, (error) => {
      onFailure(error, about);
      onDone();
    });
  }
}

/** `localhost` is both loopbacks; that of IPv6 may not be there. */
function hostsOf(address: string): readonly string[] {
  return address === 'localhost' ? ['127.0.0.1', '::1'] : [address];
}

function isWithoutAddress(error: unknown): boolean {
  return ['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes(codeOf(error) ?? '');
}

function listenError(place: string, remote: number, error: unknown): CliError {
  const another = `choose another port of this host, or :${remote} for a free one`;
  const known: Readonly<Record<string, readonly [reason: string, hint: string]>> = {
    EADDRINUSE: ['the port is in use', another],
    EACCES: ['you may not use this port', another],
    EADDRNOTAVAIL: ['this host does not have the address', '--address takes an address of this host'],
    EAFNOSUPPORT: ['this host does not have IPv6', '--address 127.0.0.1 is the default'],
  };
  const [reason, hint] = known[codeOf(error) ?? ''] ?? [(error as Error).message];
  return new CliError(`cannot listen on ${place}: ${reason}`, hint === undefined ? {} : { hint });
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

function inUrl(address: string): string {
  return isIPv6(address) ? `[${address}]` : address;
}
