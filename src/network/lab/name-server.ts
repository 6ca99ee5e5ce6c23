/** A DNS server for tests, on 127.0.0.1: answers what its records say, over UDP and TCP. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import { type Answer, decode, encode, type RecordType } from 'dns-packet';
import { bindTcp } from '../dns/binding.ts';
import { firstFrame, framed } from '../dns/upstream.ts';

export class NameServer implements AsyncDisposable {
  /** By lower-case name. */
  readonly records = new Map<string, readonly Answer[]>();
  /** Names that were asked for, in order. */
  readonly asked: string[] = [];
  readonly #udp: Socket;
  readonly #tcp: Server;

  private constructor(udp: Socket, tcp: Server) {
    this.#udp = udp;
    this.#tcp = tcp;
    udp.on('message', (bytes, peer) => {
      const answer = this.#answer(bytes);
      const { questions = [], id = 0 } = decode(bytes);
      // Too long for a datagram: an empty answer that says so.
      const sent = answer.length > 512 ? encode({ type: 'response', id, flags: 0x0200, questions }) : answer;
      udp.send(sent, peer.port, peer.address);
    });
    tcp.on('connection', (socket) => {
      socket.on('error', () => socket.destroy());
      socket.once('data', (data: Buffer) => {
        const query = firstFrame(data);
        if (query !== null) socket.end(framed(this.#answer(query)));
      });
    });
  }

  static async make(): Promise<NameServer> {
    const udp = createSocket('udp4');
    udp.bind(0, '127.0.0.1');
    await once(udp, 'listening');
    return new NameServer(udp, await bindTcp('127.0.0.1', udp.address().port));
  }

  /** As the resolver is told about it. */
  get address(): string {
    return `127.0.0.1#${(this.#tcp.address() as AddressInfo).port}`;
  }

  set(name: string, type: RecordType & ('A' | 'AAAA' | 'CNAME'), data: string, ttl = 300): void {
    const record = { name, type, data, ttl } as Answer;
    this.records.set(name, [...(this.records.get(name) ?? []), record]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#udp.close();
    this.#tcp.close();
    await once(this.#tcp, 'close');
  }

  #answer(bytes: Buffer): Buffer {
    const { id = 0, questions = [] } = decode(bytes);
    const [question] = questions;
    const name = question?.name.toLowerCase() ?? '';
    this.asked.push(name);
    const answers: Answer[] = [];
    for (let next: string | null = name; next !== null; ) {
      const records: readonly Answer[] = this.records.get(next) ?? [];
      const alias: Answer | undefined = records.find(({ type }) => type === 'CNAME');
      answers.push(...records.filter(({ type }) => type === 'CNAME' || type === question?.type));
      next = alias?.type === 'CNAME' ? alias.data : null;
    }
    const rcode = answers.length === 0 && !this.records.has(name) ? 3 : 0;
    return encode({ type: 'response', id, flags: 0x0180 | rcode, questions, answers });
  }
}
