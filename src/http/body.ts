/** Reads requests' bodies: whole, within a limit and a deadline, before anybody asks for them. */
import type { IncomingMessage } from 'node:http';
import type { MiddlewareHandler } from 'hono';
import { AppError } from '../core/errors.ts';
import type { HttpEnv } from './context.ts';
import { BodyTooLarge, BodyTooSlow } from './errors.ts';

export interface BodyLimits {
  readonly bytesMax: number;
  /** For the whole body. */
  readonly deadlineMs: number;
  /** Routes that read their body as it comes, with limits of their own. */
  readonly isStreamed: (method: string, path: string) => boolean;
}

/** What the adapter takes a body from when it is there already. */
interface WithRawBody {
  rawBody?: Buffer;
}

export function readBodies(limits: BodyLimits): MiddlewareHandler<HttpEnv> {
  return (c, next) => {
    const { incoming, outgoing } = c.env;
    if (incoming.method === 'GET' || incoming.method === 'HEAD' || !hasBody(incoming)) return next();
    if (incoming.headers.expect !== undefined) outgoing.writeContinue();
    if (limits.isStreamed(c.req.method, c.req.path)) return next();
    return readWhole(incoming, limits).then(
      (body) => {
        (incoming as WithRawBody).rawBody = body;
        return next();
      },
      (error: unknown) => {
        // Who is too slow for the body is too slow for the rest of it.
        if (error instanceof BodyTooSlow) outgoing.setHeader('Connection', 'close');
        throw error;
      },
    );
  };
}

export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

async function readWhole(incoming: IncomingMessage, { bytesMax, deadlineMs }: BodyLimits): Promise<Buffer> {
  if (Number(incoming.headers['content-length'] ?? 0) > bytesMax) throw new BodyTooLarge(bytesMax);
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  let bytes = 0;
  const onData = (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > bytesMax) reject(new BodyTooLarge(bytesMax));
    else chunks.push(chunk);
  };
  const onEnd = () => resolve(Buffer.concat(chunks));
  const onGone = () => reject(new AppError('invalid', 'the request ended before its body did'));
  const timer = setTimeout(() => reject(new BodyTooSlow(deadlineMs)), deadlineMs);
  incoming.on('data', onData).on('end', onEnd).on('close', onGone).on('error', onGone);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    incoming.off('data', onData).off('end', onEnd).off('close', onGone).off('error', onGone);
  }
}
