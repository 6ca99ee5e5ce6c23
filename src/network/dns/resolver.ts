/**
 * The guests' DNS forwarder, on the gateway's addresses. Answers names of machines itself; asks the host's name
 * servers for the others, as far as the guest's egress policy allows the name. For domain rules it pins the answer's
 * addresses before it sends the answer, so that the guest's first packet passes.
 *
 * Guests are hostile: a query is decoded and made anew, a guest has a bounded number of open queries and
 * connections, and every query has a deadline. Who asks is known by the source address, which guests cannot forge.
 */
import type { Socket as UdpSocket } from 'node:dgram';
import type { Socket } from 'node:net';
import { type DecodedPacket, encode, type Question } from 'dns-packet';
import { isAppError } from '../../core/errors.ts';
import type { Logger } from '../../lib/log.ts';
import { addressesIn, isPrivate, type ResolvedAddress } from './answers.ts';
import { isDomainName, machineNameIn, normalized, reversedAddress } from './names.ts';
import { closeSockets, type ResolverSockets } from './sockets.ts';
import { decodeOrNull, firstFrame, framed, type Upstream } from './upstream.ts';

/** What the resolver asks about a guest. */
export interface ResolverGuest {
  readonly machineId: string;
  /** Whether the guest reaches only addresses that are pinned or that a rule names. */
  readonly isPinned: boolean;
  /** Whether the policy lets the guest ask the world for this name. */
  mayAsk(name: string): boolean;
  /** Whether a rule names this address itself. */
  allowsAddress(address: string): boolean;
  /** The machine of this name that the guest reaches, or itself. */
  find(name: string): { readonly ipv4: string; readonly ipv6: string | null } | null;
}

export interface ResolverOptions {
  readonly upstream: Upstream;
  readonly log: Logger;
  /** The guest that has this address. */
  guestAt(address: string): ResolverGuest | null;
  /** Lets the guest reach these addresses as its rules for the name say; resolves once that is in force. */
  pin(
    machineId: string,
    name: string,
    addresses: readonly ResolvedAddress[],
    signal: AbortSignal,
  ): Promise<void>;
  /** Notes that the name was refused. */
  refused(machineId: string, name: string): void;
}

const queryMs = 5_000;
const queriesPerGuestMax = 64;
const queriesMax = 4096;
const connectionsPerGuestMax = 8;
const connectionIdleMs = 10_000;
const datagramBytesMin = 512;
const datagramBytesMax = 1232;
/** Of answers about machines, whose addresses change when they are made anew. */
const ownTtlS = 5;

/** RFC 1035, 4.1.1. */
const rcodes = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;
type Rcode = keyof typeof rcodes;
const truncatedBit = 0x0200;
const recursionBits = 0x0180;

const refusedTypes: ReadonlySet<string> = new Set(['AXFR', 'IXFR', 'ANY']);

export class Resolver {
  readonly #options: ResolverOptions;
  readonly #sockets: ResolverSockets;
  /** Queries under way, by machine. */
  readonly #queries = new Map<string, number>();
  readonly #connections = new Map<string, Set<Socket>>();
  readonly #closing = new AbortController();
  #queryCount = 0;

  constructor(sockets: ResolverSockets, options: ResolverOptions) {
    this.#sockets = sockets;
    this.#options = options;
    const onError = (error: Error) => options.log.warn({ error: error.message }, 'resolver_socket_failed');
    for (const socket of sockets.udp) {
      socket.on('message', (bytes, peer) => this.#onDatagram(socket, bytes, peer));
      socket.on('error', onError);
    }
    for (const server of sockets.tcp) {
      server.on('connection', (connection: Socket) => this.#onConnection(connection));
      server.on('error', onError);
    }
  }

  close(): void {
    this.#closing.abort(new Error('the resolver is closed'));
    for (const connections of this.#connections.values()) for (const each of connections) each.destroy();
    closeSockets(this.#sockets);
  }

  #onDatagram(
    socket: UdpSocket,
    bytes: Buffer,
    peer: { readonly address: string; readonly port: number },
  ): void {
    this.#answer(bytes, peer.address, true)
      .then((answer) => {
        if (answer === null || this.#closing.signal.aborted) return;
        // The guest may be gone; nobody waits for the outcome.
        socket.send(answer, peer.port, peer.address, () => undefined);
      })
      .catch((error: unknown) => this.#options.log.error({ error: String(error) }, 'dns_query_failed'));
  }

  #onConnection(connection: Socket): void {
    const address = plainAddress(connection.remoteAddress ?? '');
    const connections = this.#connections.get(address) ?? new Set();
    connection.on('error', () => connection.destroy());
    if (connections.size >= connectionsPerGuestMax || this.#options.guestAt(address) === null) {
      connection.destroy();
      return;
    }
    connections.add(connection);
    this.#connections.set(address, connections);
    connection.on('close', () => {
      connections.delete(connection);
      if (connections.size === 0) this.#connections.delete(address);
    });
    connection.setTimeout(connectionIdleMs, () => connection.destroy());
    this.#serve(connection, address).catch(() => connection.destroy());
  }

  /** One query after another: a guest that wants more at a time opens more connections. */
  async #serve(connection: Socket, address: string): Promise<void> {
    let received = Buffer.alloc(0);
    for await (const chunk of connection) {
      received = Buffer.concat([received, chunk as Buffer]);
      for (let query = firstFrame(received); query !== null; query = firstFrame(received)) {
        const answer = await this.#answer(query, address, false);
        received = received.subarray(2 + query.length);
        if (answer === null) {
          connection.destroy();
          return;
        }
        connection.write(framed(answer));
      }
    }
  }

  /** Null: no answer at all. */
  async #answer(bytes: Buffer, source: string, isDatagram: boolean): Promise<Buffer | null> {
    const guest = this.#options.guestAt(plainAddress(source));
    const query = decodeOrNull(bytes);
    if (guest === null || query === null || query.type !== 'query') return null;
    const [question, ...more] = query.questions ?? [];
    if (question === undefined || more.length > 0) return reply(query, 'FORMERR');
    const isQuery = (bytes.readUInt8(2) & 0x78) === 0;
    if (!isQuery || refusedTypes.has(question.type)) return reply(query, 'NOTIMP');
    if ((question.class ?? 'IN') !== 'IN' || !isDomainName(question.name)) return reply(query, 'REFUSED');
    const count = this.#queries.get(guest.machineId) ?? 0;
    if (count >= queriesPerGuestMax || this.#queryCount >= queriesMax) return reply(query, 'SERVFAIL');
    this.#queries.set(guest.machineId, count + 1);
    this.#queryCount += 1;
    try {
      const answer = await this.#resolve(guest, query, question);
      return isDatagram && answer.length > datagramBytes(query)
        ? reply(query, 'NOERROR', truncatedBit)
        : answer;
    } finally {
      const left = (this.#queries.get(guest.machineId) ?? 1) - 1;
      if (left === 0) this.#queries.delete(guest.machineId);
      else this.#queries.set(guest.machineId, left);
      this.#queryCount -= 1;
    }
  }

  async #resolve(guest: ResolverGuest, query: DecodedPacket, question: Question): Promise<Buffer> {
    const machine = machineNameIn(question.name);
    if (machine !== null) return machineAnswer(guest, query, question, machine);
    const reversed = reversedAddress(question.name);
    if (reversed !== null && this.#options.guestAt(reversed) !== null) return reply(query, 'NXDOMAIN');
    if (!guest.mayAsk(question.name)) {
      this.#options.refused(guest.machineId, normalized(question.name));
      return reply(query, 'REFUSED');
    }
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(queryMs)]);
    try {
      const hasExtensions = query.additionals?.some(({ type }) => type === 'OPT') ?? false;
      const asked = { type: question.type, name: question.name, class: 'IN' } as const;
      const { packet, bytes } = await this.#options.upstream.ask(asked, hasExtensions, signal);
      const addresses = guest.isPinned ? addressesIn(packet, question.name) : [];
      if (!(await this.#pin(guest, question.name, addresses, signal))) return reply(query, 'REFUSED');
      const answer = Buffer.from(bytes);
      answer.writeUInt16BE(query.id ?? 0);
      return answer;
    } catch (error) {
      if (!signal.aborted && !isAppError(error)) throw error;
      return reply(query, 'SERVFAIL');
    }
  }

  /** False when the name leads to addresses that a name cannot open. */
  async #pin(
    guest: ResolverGuest,
    name: string,
    addresses: readonly ResolvedAddress[],
    signal: AbortSignal,
  ): Promise<boolean> {
    const closed = addresses.filter(({ address }) => !guest.allowsAddress(address));
    if (closed.some(({ address }) => isPrivate(address))) {
      this.#options.refused(guest.machineId, normalized(name));
      return false;
    }
    if (closed.length > 0) await this.#options.pin(guest.machineId, name, closed, signal);
    return true;
  }
}

function machineAnswer(
  guest: ResolverGuest,
  query: DecodedPacket,
  question: Question,
  machine: string,
): Buffer {
  const found = guest.find(machine);
  if (found === null) return reply(query, 'NXDOMAIN');
  const { type, name } = question;
  const data = type === 'A' ? found.ipv4 : type === 'AAAA' ? found.ipv6 : null;
  if (data === null) return reply(query, 'NOERROR');
  return encode({
    type: 'response',
    id: query.id ?? 0,
    flags: recursionBits,
    questions: [question],
    answers: [{ type: type as 'A' | 'AAAA', name, ttl: ownTtlS, data }],
  });
}

/** Without records. */
function reply(query: DecodedPacket, rcode: Rcode, bits = 0): Buffer {
  return encode({
    type: 'response',
    id: query.id ?? 0,
    flags: recursionBits | bits | rcodes[rcode],
    questions: query.questions?.length === 1 ? query.questions : [],
  });
}

function datagramBytes(query: DecodedPacket): number {
  const extension = query.additionals?.find(({ type }) => type === 'OPT');
  const size = extension?.type === 'OPT' ? extension.udpPayloadSize : datagramBytesMin;
  return Math.min(Math.max(size, datagramBytesMin), datagramBytesMax);
}

/** An IPv4 peer, as an IPv6 socket names it, too. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/, '');
}
