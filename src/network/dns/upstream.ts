/**
 * Asks the host's name servers, from the daemon's own network namespace. Each query has a socket of its own, so a
 * random port and id, and takes an answer from that server to that question only. A truncated answer is asked for
 * again over TCP.
 */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import {
  type DecodedPacket,
  decode,
  encode,
  type OptAnswer,
  type Question,
  RECURSION_DESIRED,
} from 'dns-packet';
import { AppError } from '../../core/errors.ts';
import { familyOf } from '../addresses.ts';
import { normalized } from './names.ts';

export interface UpstreamAnswer {
  readonly packet: DecodedPacket;
  /** As the server sent it, with its id. */
  readonly bytes: Buffer;
}

interface Server {
  readonly host: string;
  readonly port: number;
}

const attemptMs = 2_000;
const serversMax = 8;
const dnsPort = 53;
/** The size that gets through every network in one piece. */
const datagramBytes = 1232;

const extensions: OptAnswer = {
  type: 'OPT',
  name: '.',
  udpPayloadSize: datagramBytes,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
};

export class Upstream {
  readonly #given: readonly string[] | null;
  readonly #resolvConf: string;

  /** `given`: addresses, each optionally with `#port`; null: those of resolv.conf, read anew for each query. */
  constructor(given: readonly string[] | null, resolvConf = '/etc/resolv.conf') {
    this.#given = given;
    this.#resolvConf = resolvConf;
  }

  /** Asks one server after another. Raises `unavailable` when none answers; rejects with the signal's reason. */
  async ask(question: Question, hasExtensions: boolean, signal: AbortSignal): Promise<UpstreamAnswer> {
    const addresses = this.#given ?? (await this.#configured());
    let cause: unknown = new Error('the host has no name server');
    for (const address of addresses.slice(0, serversMax)) {
      const [host = '', port = dnsPort] = address.split('#');
      const attempt = AbortSignal.any([signal, AbortSignal.timeout(attemptMs)]);
      try {
        return await askServer({ host, port: Number(port) }, question, hasExtensions, attempt);
      } catch (error) {
        signal.throwIfAborted();
        cause = error;
      }
    }
    throw new AppError('unavailable', `no name server answers for ${question.name}`, { cause });
  }

  async #configured(): Promise<readonly string[]> {
    const text = await readFile(this.#resolvConf, 'utf8');
    const servers = [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map((match) => match[1] ?? '');
    return servers.filter((server) => familyOf(server) !== null);
  }
}

async function askServer(
  server: Server,
  question: Question,
  hasExtensions: boolean,
  signal: AbortSignal,
): Promise<UpstreamAnswer> {
  const id = randomInt(65_536);
  const query = encode({
    type: 'query',
    id,
    flags: RECURSION_DESIRED,
    questions: [question],
    additionals: hasExtensions ? [extensions] : [],
  });
  const read = (bytes: Buffer): UpstreamAnswer | null => {
    const packet = decodeOrNull(bytes);
    const [asked, ...more] = packet?.questions ?? [];
    const isOurs =
      packet?.type === 'response' &&
      packet.id === id &&
      more.length === 0 &&
      asked?.type === question.type &&
      normalized(asked.name) === normalized(question.name);
    return isOurs ? { packet, bytes } : null;
  };
  const answer = await askDatagram(server, query, read, signal);
  return answer.packet.flag_tc ? askStream(server, query, read, signal) : answer;
}

type Reader = (bytes: Buffer) => UpstreamAnswer | null;

async function askDatagram(
  { host, port }: Server,
  query: Buffer,
  read: Reader,
  signal: AbortSignal,
): Promise<UpstreamAnswer> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  const answered = Promise.withResolvers<UpstreamAnswer>();
  const onAbort = () => answered.reject(signal.reason);
  try {
    signal.throwIfAborted();
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('error', answered.reject);
    socket.on('message', (bytes) => {
      const answer = read(bytes);
      if (answer !== null) answered.resolve(answer);
    });
    socket.on('connect', () => socket.send(query));
    socket.connect(port, host);
    return await answered.promise;
  } finally {
    signal.removeEventListener('abort', onAbort);
    socket.close();
  }
}

async function askStream(
  { host, port }: Server,
  query: Buffer,
  read: Reader,
  signal: AbortSignal,
): Promise<UpstreamAnswer> {
  const socket = connect({ host, port, signal });
  try {
    await once(socket, 'connect', { signal });
    socket.write(framed(query));
    let received = Buffer.alloc(0);
    for await (const chunk of socket) {
      received = Buffer.concat([received, chunk as Buffer]);
      const message = firstFrame(received);
      if (message === null) continue;
      const answer = read(message);
      if (answer !== null) return answer;
      break;
    }
    throw new AppError('unavailable', 'the name server sent no answer over TCP');
  } finally {
    socket.destroy();
  }
}

/** A message as TCP carries it: its length first. */
export function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

/** Null until it is complete. */
export function firstFrame(received: Buffer): Buffer | null {
  if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return null;
  return received.subarray(2, 2 + received.readUInt16BE(0));
}

/** Null for what is no DNS message. */
export function decodeOrNull(bytes: Buffer): DecodedPacket | null {
  try {
    return decode(bytes);
  } catch {
    return null;
  }
}
