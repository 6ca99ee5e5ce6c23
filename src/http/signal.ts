/** When a request is no longer to be worked on. */
import type { Context } from 'hono';
import { AppError } from '../core/errors.ts';
import type { KeyService } from '../core/keys/service.ts';
import type { HttpEnv } from './context.ts';

/** Aborts when the client goes before it has its whole answer, and when its key is revoked or expires. */
export function requestSignal(c: Context<HttpEnv>, keys: KeyService): AbortSignal {
  const { outgoing } = c.env;
  const controller = new AbortController();
  const gone = () => controller.abort(new AppError('unavailable', 'the client has gone'));
  if (outgoing.destroyed) gone();
  const release = keys.watchEnd(c.get('caller'), (reason) => controller.abort(reason));
  outgoing.once('close', () => {
    release();
    if (!outgoing.writableFinished) gone();
  });
  return controller.signal;
}

/**
 * For an answer that goes on: ends its connection when the signal aborts, also when the client does not read. Returns
 * what ends it at once.
 */
export function cutOnAbort(c: Context<HttpEnv>, signal: AbortSignal): () => void {
  const cut = () => void c.env.outgoing.destroy();
  signal.addEventListener('abort', cut, { once: true });
  return cut;
}
