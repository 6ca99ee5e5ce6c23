/** Ports of the fake daemon's machines: WebSockets of `flotilla.tcp.v1`, each answered by a function in place of a program. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { Refusal } from './refusal.ts';

/** What a program in the machine has of a connection. */
export interface FakeConnection {
  readonly socket: WebSocket;
  /** Resolves when the frame has been handed on. */
  readonly send: (data: Buffer) => Promise<void>;
  /** Sends no more; the connection is closed when both sides have ended. */
  readonly end: () => void;
}

export interface FakePort {
  readonly onOpen?: (connection: FakeConnection) => void;
  readonly onData?: (connection: FakeConnection, data: Buffer) => void;
  readonly onEnd?: (connection: FakeConnection) => void;
}

export class FakePorts {
  readonly #note: (entry: string) => void;
  readonly #ports = new Map<number, FakePort | Refusal>();
  readonly #server = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered) => offered.has('flotilla.tcp.v1') && 'flotilla.tcp.v1',
  });

  constructor(note: (entry: string) => void) {
    this.#note = note;
  }

  /** Lets a program listen, or every connection to the port fail. */
  listen(port: number, program: FakePort | Refusal): void {
    this.#ports.set(port, program);
  }

  /** Answers a handshake; `authorize` throws a Refusal. */
  answer(request: IncomingMessage, socket: Duplex, head: Buffer, authorize: () => void): void {
    const [, machine, port] = /^\/machines\/([^/]+)\/ports\/(\d+)\/ws$/.exec(request.url ?? '') ?? [];
    try {
      authorize();
      if (port === undefined) throw new Refusal(404, 'NOT_FOUND', 'no such route');
      this.#server.handleUpgrade(request, socket, head, (opened) => this.#connect(opened, Number(port)));
      this.#note(`connect ${machine} ${port}`);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { status, code, message } = error;
      const body = JSON.stringify({ error: { code, message } });
      const head = `HTTP/1.1 ${status} Refused\r\ncontent-type: application/json\r\nconnection: close`;
      socket.end(`${head}\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
    }
  }

  close(): void {
    for (const socket of this.#server.clients) socket.terminate();
    this.#server.close();
  }

  get openCount(): number {
    return this.#server.clients.size;
  }

  #connect(socket: WebSocket, port: number): void {
    socket.on('close', (code) => this.#note(`closed ${port} ${code}`));
    const program = this.#ports.get(port) ?? new Refusal(409, 'CONFLICT', `nothing listens on port ${port}`);
    if (program instanceof Refusal) {
      const { status, code, message } = program;
      socket.send(JSON.stringify({ type: 'error', error: { code, message, hint: 'start a server first' } }));
      socket.close(4000 + status);
      return;
    }
    const ended = { here: false, there: false };
    const closeIfEnded = () => {
      if (ended.here && ended.there) socket.close(1000);
    };
    const connection: FakeConnection = {
      socket,
      send: (data) => {
        const { promise, resolve } = Promise.withResolvers<void>();
        socket.send(data, () => resolve());
        return promise;
      },
      end: () => {
        ended.here = true;
        socket.send('{"type":"end"}');
        closeIfEnded();
      },
    };
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) return program.onData?.(connection, data);
      this.#note(`message ${port} ${data}`);
      ended.there = true;
      program.onEnd?.(connection);
      closeIfEnded();
    });
    program.onOpen?.(connection);
  }
}
