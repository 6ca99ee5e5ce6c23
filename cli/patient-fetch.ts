/**
 * `fetch` for what may be silent for long: the console of a machine with nothing to say, an image being made. Node's own
 * gives an answer up after 300 s without a byte. A peer that has vanished is found out by TCP itself.
 */
import { once } from 'node:events';
import { type ClientRequest, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { Readable } from 'node:stream';
import { setTimeout as sleep, setImmediate as turnOfLoop } from 'node:timers/promises';
import type { FetchLike } from '../sdk/src/index.ts';

const keepAliveMs = 30_000;
/** How long a server that does not understand `Expect` is waited for before the body is sent. */
const continueMs = 1_000;
/** How long one that has accepted the caller may take to refuse the request. */
const refusalMs = 20;

export const patientFetch: FetchLike = (url, init) => send(url, init, null);

/** The same over a unix socket, whatever host the address names. */
export function socketFetch(socketPath: string): FetchLike {
  return (url, init) => send(url, init, socketPath);
}

/**
 * Follows no redirect. Rejects with the system's error, or the signal's reason. Whoever gets an answer to half a body ends
 * the call with the signal.
 */
function send(url: string, init: RequestInit, socketPath: string | null): Promise<Response> {
  const { promise, resolve, reject } = Promise.withResolvers<Response>();
  const { method = 'GET', signal, body = null } = init;
  const request = url.startsWith('https:') ? requestHttps : requestHttp;
  const headers = {
    ...Object.fromEntries(new Headers(init.headers)),
    // Told that it will be the last, a server closes the connection as soon as it has answered, over what is being sent.
    connection: 'keep-alive',
    // A server that refuses says so before the body, whose sending would lose its answer.
    ...(body instanceof ReadableStream ? { expect: '100-continue' } : {}),
  };
  const outgoing = request(url, {
    ...{ method, headers, agent: false },
    ...(signal ? { signal } : {}),
    ...(socketPath === null ? {} : { socketPath }),
  });
  outgoing.on('socket', (socket) => socket.setKeepAlive(true, keepAliveMs));
  outgoing.on('error', (error) => reject(signal?.aborted ? signal.reason : error));
  outgoing.once('response', (incoming) => {
    const status = incoming.statusCode ?? 500;
    const hasBody = ![204, 205, 304].includes(status);
    if (!hasBody) incoming.resume();
    const stream = hasBody ? (Readable.toWeb(incoming) as ReadableStream<Uint8Array>) : null;
    resolve(new Response(stream, { status, headers: headersOf(incoming.headers) }));
  });
  if (body === null || typeof body === 'string') outgoing.end(body ?? undefined);
  else if (body instanceof ReadableStream) void sendBody(body, outgoing);
  else outgoing.destroy(new TypeError('a body is text or a stream'));
  return promise;
}

/** Sends the body until its end, an answer or a failure, whichever comes first. */
async function sendBody(body: ReadableStream<Uint8Array>, outgoing: ClientRequest): Promise<void> {
  const over = new AbortController();
  for (const event of ['response', 'close']) outgoing.once(event, () => over.abort());
  const wanted = new AbortController();
  outgoing.once('continue', () => wanted.abort());
  const reader = body.getReader();
  try {
    // A server that refuses closes the connection after its answer, which is lost if a write finds that out first.
    outgoing.flushHeaders();
    const asked = AbortSignal.any([over.signal, wanted.signal]);
    await sleep(continueMs, undefined, { signal: asked }).catch(() => undefined);
    if (wanted.signal.aborted) await sleep(refusalMs, undefined, { signal: over.signal });
    while (!over.signal.aborted) {
      const { value } = await reader.read();
      if (value === undefined) return void outgoing.end();
      if (over.signal.aborted) break;
      if (!outgoing.write(value)) await once(outgoing, 'drain', { signal: over.signal });
      // An answer that is there is read before the next write.
      await turnOfLoop();
    }
    await reader.cancel();
  } catch (error) {
    if (!over.signal.aborted) outgoing.destroy(error instanceof Error ? error : new Error(String(error)));
    else await reader.cancel().catch(() => undefined);
  }
}

function headersOf(given: NodeJS.Dict<string | string[]>): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined) headers.set(name, [value].flat().join(', '));
  }
  return headers;
}
