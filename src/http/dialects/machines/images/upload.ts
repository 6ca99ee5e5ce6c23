/** A body that is read as it comes, by whom it is for. */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { AppError } from '../../../../core/errors.ts';

/** Aborts when the client goes before it is answered. */
export function signalOf(outgoing: ServerResponse | Http2ServerResponse): AbortSignal {
  const controller = new AbortController();
  outgoing.once('close', () => {
    if (!outgoing.writableFinished) controller.abort(new AppError('unavailable', 'the client has gone'));
  });
  return controller.signal;
}

/**
 * The body's bytes. Its connection may stand still until the first is asked for: an upload that waits for its turn is
 * not slow. Who stops half-way leaves the connection open, so that it can be answered.
 */
export function uploadedChunks(incoming: IncomingMessage | Http2ServerRequest): AsyncIterable<Uint8Array> {
  const { socket } = incoming;
  const idleMs = socket.timeout ?? 0;
  socket.setTimeout(0);
  return read(incoming, idleMs);
}

async function* read(
  incoming: IncomingMessage | Http2ServerRequest,
  idleMs: number,
): AsyncIterable<Uint8Array> {
  const { socket } = incoming;
  socket.setTimeout(idleMs);
  try {
    yield* incoming.iterator({ destroyOnReturn: false });
  } finally {
    // What comes of it takes its time.
    socket.setTimeout(0);
  }
}
