/** Requests over 32 connections as fast as they are answered. */
import { encodeRequest, HttpConnection } from '../http-connection.ts';
import { stayAwake } from '../load.ts';
import { percentile } from '../statistics.ts';
import type { Endpoint } from '../workplace.ts';

const connectionsCount = 32;

export interface RateAndTail {
  /** Answers a second. */
  readonly rate: number;
  readonly p99Ms: number;
}

/** Sends GETs of `path` for about `burstMs`. Raises if an answer is not a 200. */
export async function rateAndTail(
  endpoint: Endpoint,
  path: string,
  burstMs: number,
  signal: AbortSignal,
): Promise<RateAndTail> {
  const request = encodeRequest('GET', path, endpoint);
  using connections = new DisposableStack();
  const open: HttpConnection[] = [];
  for (let index = 0; index < connectionsCount; index += 1)
    open.push(connections.use(await HttpConnection.open(endpoint)));
  const times: number[] = [];
  const begun = performance.now();
  const work = async (connection: HttpConnection) => {
    for (let sent = performance.now(); sent < begun + burstMs; ) {
      signal.throwIfAborted();
      await connection.expect(200, request);
      const answered = performance.now();
      times.push(answered - sent);
      sent = answered;
    }
  };
  using _ = stayAwake();
  await Promise.all(open.map(work));
  return { rate: times.length / ((performance.now() - begun) / 1000), p99Ms: percentile(times, 99) };
}
