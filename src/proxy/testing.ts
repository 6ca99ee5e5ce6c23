/** A proxy before the fake Flotilla, for tests: guests' programs are servers of this process. */
import { once } from 'node:events';
import type { IncomingMessage, RequestListener } from 'node:http';
import { createServer, request } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { type FakeFlotilla, type FakeOptions, startFake } from '../../test/support/fake.ts';
import { silentLog } from '../lib/log.ts';
import { ReverseProxy } from './reverse-proxy.ts';
import { listenAsProxy, type ProxyLimits, type ProxyServer } from './server.ts';

export interface ProxyWorld {
  readonly fake: FakeFlotilla;
  readonly server: ProxyServer;
  readonly proxy: ReverseProxy;
  /** The machine `web`, whose port 80 is exposed. */
  readonly id: string;
  /** What listens on its port 80. */
  program: RequestListener;
  /** Connections that its programs have accepted. */
  readonly accepted: () => number;
  /** Also for upgrades. */
  readonly programs: ReturnType<typeof createServer>;
  send(path: string, options?: SendOptions): Promise<Answer>;
  close(): Promise<void>;
}

export interface SendOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly trailers: IncomingMessage['trailers'];
}

export const tenant = 'default';
export const suffix = '.flotilla.example';

export async function startProxyWorld(
  options: FakeOptions & { readonly limits?: ProxyLimits; readonly wakeTimeoutMs?: number } = {},
): Promise<ProxyWorld> {
  const fake = await startFake(options);
  const { id } = await fake.machines.create(tenant, {
    name: 'web',
    image: 'busybox',
    memoryMib: 128,
    exposedPorts: [80],
  });
  const programs = createServer((incoming, outgoing) => world.program(incoming, outgoing));
  programs.listen(0, '127.0.0.1');
  await once(programs, 'listening');
  const { port } = programs.address() as AddressInfo;
  let accepted = 0;
  fake.guest.connections.programs.set(80, (connection) => {
    accepted += 1;
    const socket = connect(port, '127.0.0.1');
    connection.pipe(socket).pipe(connection);
    connection.once('close', () => socket.destroy());
    socket.once('close', () => connection.destroy());
    for (const stream of [connection, socket]) stream.on('error', () => socket.destroy());
  });
  const proxy = new ReverseProxy({
    reach: fake.reach,
    rules: { prefix: '/proxy', suffixes: [suffix] },
    wakeTimeoutMs: options.wakeTimeoutMs ?? 10_000,
    log: silentLog,
  });
  const server = await listenAsProxy(proxy, { host: '127.0.0.1', port: 0 }, options.limits);
  const world: ProxyWorld = {
    ...{ fake, server, proxy, id, programs },
    accepted: () => accepted,
    program: (_, outgoing) => outgoing.end('hello'),
    send: (path, { method = 'GET', headers = {}, body } = {}) => {
      const { promise, resolve, reject } = Promise.withResolvers<Answer>();
      const sent = request({ port: server.port, path, method, headers, agent: false }, (answer) => {
        text(answer).then(
          (received) =>
            resolve({
              status: answer.statusCode ?? 0,
              headers: answer.headers,
              body: received,
              trailers: answer.trailers,
            }),
          reject,
        );
      });
      sent.once('error', reject);
      sent.end(body);
      return promise;
    },
    async close() {
      await server.close(0);
      proxy.close();
      programs.closeAllConnections();
      programs.close();
      await fake.close();
    },
  };
  return world;
}
