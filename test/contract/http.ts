/** Raw HTTP: paths and headers are sent unchanged, whereas `fetch` would normalise them. */
import { Agent, request } from 'node:http';

export interface WireRequest {
  readonly method: string;
  /** Including the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

export interface WireAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
}

const deadlineMs = 20_000;

/** Connections to one server; call `destroy` at the end. */
export function keepAliveAgent(): Agent {
  return new Agent({ keepAlive: true, maxSockets: 4 });
}

/** Rejects when the connection is closed or no answer comes in time. */
export async function send(agent: Agent, url: string, wire: WireRequest): Promise<WireAnswer> {
  const { hostname, port } = new URL(url);
  const { promise, resolve, reject } = Promise.withResolvers<WireAnswer>();
  // Node does not frame the body of a DELETE by itself.
  const length = wire.body === null ? {} : { 'Content-Length': Buffer.byteLength(wire.body) };
  const headers = { ...wire.headers, ...length };
  const outgoing = request(
    { agent, hostname, port, method: wire.method, path: wire.path, headers },
    (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('error', reject);
      incoming.on('end', () =>
        resolve({
          status: incoming.statusCode ?? 0,
          headers: incoming.headers,
          body: Buffer.concat(chunks).toString('utf8'),
        }),
      );
    },
  );
  outgoing.setTimeout(deadlineMs, () => outgoing.destroy(new Error(`no answer within ${deadlineMs} ms`)));
  outgoing.on('error', reject);
  outgoing.end(wire.body ?? undefined);
  return promise;
}
