/**
 * Passes one request to a program in a guest and its answer back, both as streams: neither is held in memory, and a slow
 * side stops the other. Knows nothing of machines' states; the caller has the machine awake.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AwakeMachine } from '../core/machines/waking.ts';
import { passedOn } from '../lib/passing-buffers.ts';
import { Exchange } from './exchange.ts';
import type { Body } from './framing.ts';
import { valuesOf } from './headers.ts';
import { upload } from './upload.ts';
import type { Upstreams } from './upstreams.ts';

export interface Forwarding {
  readonly upstreams: Upstreams;
  readonly awake: AwakeMachine;
  readonly guestPort: number;
  /** Path and query for the program. */
  readonly path: string;
  /** Raw; see `requestHeaders`. */
  readonly headers: readonly string[];
  readonly body: Body;
  /** A defect, or what went wrong with a request whose client was told only that it did. */
  readonly onError: (error: unknown) => void;
}

/** A body up to this size is read before the request is sent, as Node would in any case. */
const shortBodyBytesMax = 16 * 1024;

/** Kept connections carry requests without a body or with a short one; a longer one has its own. */
export function forward(incoming: IncomingMessage, outgoing: ServerResponse, forwarding: Forwarding): void {
  const { body, headers, path } = forwarding;
  // `OPTIONS *` is no path, and whoever expects `100 Continue` sends its body after it.
  const isPlain = path.startsWith('/') && incoming.headers.expect === undefined;
  if (isPlain && body === 'none') new Exchange(incoming, outgoing, forwarding, null).begin();
  else if (isPlain && body === 'sized' && Number(valuesOf(headers, 'content-length')[0]) <= shortBodyBytesMax)
    readShort(incoming, (bytes) => new Exchange(incoming, outgoing, forwarding, bytes).begin());
  else upload(incoming, outgoing, forwarding);
}

/** Does not call `next` if the client leaves before. */
function readShort(incoming: IncomingMessage, next: (bytes: Buffer) => void): void {
  const pieces: Buffer[] = [];
  incoming.on('data', (piece: Buffer) => {
    passedOn(piece.length);
    pieces.push(piece);
  });
  incoming.once('end', () => next(pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces)));
  // Its client has left, and nobody waits for an answer.
  incoming.once('error', () => undefined);
}
