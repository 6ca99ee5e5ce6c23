/** Sends requests as fast as a server answers them, over a fixed number of connections. */
import { HttpConnection } from './http-connection.ts';
import type { Endpoint } from './workplace.ts';

/** Enough to keep the server busy at all times. */
const connectionsCount = 16;

/** A set of connections that stay open between bursts. */
export class Load implements Disposable {
  readonly #connections: readonly HttpConnection[];

  private constructor(connections: readonly HttpConnection[]) {
    this.#connections = connections;
  }

  static async open(endpoint: Endpoint): Promise<Load> {
    const connections: HttpConnection[] = [];
    for (let index = 0; index < connectionsCount; index += 1)
      connections.push(await HttpConnection.open(endpoint));
    return new Load(connections);
  }

  /** Sends requests for about `burstMs` and returns answers per second. Raises if an answer is not a 200. */
  async burst(next: () => Buffer, burstMs: number, signal: AbortSignal): Promise<number> {
    const begun = performance.now();
    const until = begun + burstMs;
    let answers = 0;
    const work = async (connection: HttpConnection) => {
      while (performance.now() < until) {
        signal.throwIfAborted();
        await connection.expect(200, next());
        answers += 1;
      }
    };
    using _ = stayAwake();
    await Promise.all(this.#connections.map(work));
    return answers / ((performance.now() - begun) / 1000);
  }

  [Symbol.dispose](): void {
    for (const connection of this.#connections) connection[Symbol.dispose]();
  }
}

/**
 * Keeps this process polling its sockets until disposed. A client that sleeps must be woken by each answer, and on
 * a virtual machine that interrupt to another processor costs the server more than the request: 50 µs of 100.
 */
export function stayAwake(): Disposable {
  let isAwake = true;
  const poll = () => {
    if (isAwake) setImmediate(poll);
  };
  poll();
  return {
    [Symbol.dispose]: () => {
      isAwake = false;
    },
  };
}
