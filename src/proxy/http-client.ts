/**
 * undici's HTTP/1.1 client on one connection. A request costs it half of what it costs Node's own client; trailers of
 * requests and `100 Continue` it does not know. Loaded when first needed, without undici's `fetch`: 4 MiB instead of 15.
 */
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Client } from 'undici';

/** The longest wait for the head of an answer. */
export const answerMs = 300_000;
/** Programs close idle connections after 5 s (Node) to 75 s (nginx). Those that say when are believed. */
const idleMs = 30_000;
/** Taken off the time that a program says it keeps an idle connection. */
const idleMarginMs = 1_000;
/** The client wants one, and sends the request's own Host. */
const origin = new URL('http://guest');

const load = createRequire(import.meta.url);
let loaded: typeof Client | null = null;

/** The client ends with the connection and makes no other. Closes the connection when it has been idle for long. */
export function clientOn(stream: Duplex): Client {
  loaded ??= load('undici/lib/dispatcher/client.js') as typeof Client;
  let isTaken = false;
  return new loaded(origin, {
    connect: (_, done) => {
      const hasEnded = isTaken;
      isTaken = true;
      // The client has to return from this call first. It takes any stream, although its types say otherwise.
      queueMicrotask(() =>
        hasEnded ? done(new Error('the connection has ended'), null) : done(null, stream as Socket),
      );
    },
    allowH2: false,
    pipelining: 1,
    headersTimeout: answerMs,
    // The listener ends what carries nothing.
    bodyTimeout: 0,
    keepAliveTimeout: idleMs,
    keepAliveMaxTimeout: idleMs,
    keepAliveTimeoutThreshold: idleMarginMs,
  });
}
