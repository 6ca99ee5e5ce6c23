/**
 * One request whose body is streamed, or that expects `100 Continue`, over a connection of its own, with Node's HTTP client:
 * it knows trailers of requests, and its body does not meet a connection that the program has just closed.
 */
import { type ClientRequest, type IncomingMessage, type ServerResponse, request as send } from 'node:http';
import type { Duplex } from 'node:stream';
import { passedOn } from '../lib/passing-buffers.ts';
import { AnswerLateError, refusalOfUpstream, refuse } from './answers.ts';
import type { Forwarding } from './forward.ts';
import type { Body } from './framing.ts';
import { valuesOf } from './headers.ts';
import { answerMs } from './http-client.ts';
import { pairsOf, passInformation, relay } from './relay.ts';

const methodsWithBody: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

export function upload(incoming: IncomingMessage, outgoing: ServerResponse, forwarding: Forwarding): void {
  const { upstreams, awake, guestPort, onError } = forwarding;
  const turn = upstreams.turn(awake, guestPort, () => {
    turn.makeRoom();
    upstreams.connect(awake, guestPort).then(
      (stream) => {
        stream.once('close', () => turn.end());
        if (outgoing.destroyed) return void stream.destroy();
        outgoing.once('close', () => stream.destroy());
        sendOn(stream, incoming, outgoing, forwarding);
      },
      (error) => {
        turn.end();
        fail(incoming, outgoing, onError, error);
      },
    );
  });
  outgoing.once('close', () => turn.giveUp());
  turn.start();
}

function sendOn(
  stream: Duplex,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { path, headers, body, onError }: Forwarding,
): void {
  const { method = 'GET' } = incoming;
  const upstream = send({
    ...{ method, path, createConnection: () => stream, setHost: false },
    headers: framed(headers, body, method),
  });
  const timer = setTimeout(() => upstream.destroy(new AnswerLateError()), answerMs);
  upstream.once('close', () => clearTimeout(timer));
  outgoing.once('close', () => upstream.destroy());
  upstream.once('response', (answer) => {
    clearTimeout(timer);
    relay(incoming, outgoing, answer, onError);
  });
  upstream.on('continue', () => outgoing.writeContinue());
  upstream.on('information', (info) => passInformation(outgoing, info.statusCode, info.rawHeaders));
  upstream.once('error', (error) => fail(incoming, outgoing, onError, error));
  if (body === 'none') upstream.end();
  else passBody(incoming, upstream, body);
}

function framed(headers: readonly string[], body: Body, method: string): string[] {
  if (body === 'chunked') return [...headers, 'Transfer-Encoding', 'chunked'];
  const hasLength = body === 'sized' || valuesOf(headers, 'content-length').length > 0;
  // Node would send a body of no chunks.
  return hasLength || !methodsWithBody.has(method) ? [...headers] : [...headers, 'Content-Length', '0'];
}

function passBody(incoming: IncomingMessage, upstream: ClientRequest, body: Body): void {
  // What comes from the guest is counted where its link is read.
  incoming.on('data', ({ length }: Buffer) => passedOn(length));
  incoming.pipe(upstream, { end: false });
  incoming.once('end', () => {
    if (upstream.destroyed) return;
    if (body === 'chunked' && incoming.rawTrailers.length > 0)
      upstream.addTrailers(pairsOf(incoming.rawTrailers));
    upstream.end();
  });
  // The client has gone; the program must not take a part for the whole.
  incoming.once('error', () => upstream.destroy());
}

function fail(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  onError: Forwarding['onError'],
  error: unknown,
): void {
  if (outgoing.destroyed || outgoing.writableEnded) return;
  incoming.unpipe();
  onError(error);
  refuse(incoming, outgoing, refusalOfUpstream(error));
}
