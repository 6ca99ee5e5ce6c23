/** Round trips of a short message over one WebSocket. */
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { stayAwake } from '../load.ts';
import { median } from '../statistics.ts';

const messagesPerRound = 500;
const message = Buffer.alloc(64, 'x');

export class EchoClient implements AsyncDisposable {
  readonly #socket: WebSocket;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  static async open(url: string): Promise<EchoClient> {
    const socket = new WebSocket(url, { perMessageDeflate: false });
    await once(socket, 'open');
    return new EchoClient(socket);
  }

  async medianMs(): Promise<number> {
    const times: number[] = [];
    using _ = stayAwake();
    for (let count = 0; count < messagesPerRound; count += 1) {
      const begun = performance.now();
      const echoed = once(this.#socket, 'message');
      this.#socket.send(message);
      await echoed;
      times.push(performance.now() - begun);
    }
    return median(times);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#socket, 'close');
    this.#socket.terminate();
    await closed;
  }
}
