/** Reads a request's body whole, within a limit, a deadline and the caller's budget of memory. */
import type { IncomingMessage } from 'node:http';
import { AppError } from '../core/errors.ts';
import { BodyTooLarge, BodyTooSlow } from './errors.ts';

export interface ReadLimits {
  readonly bytesMax: number;
  /** For the whole body. */
  readonly deadlineMs: number;
  /** Told how many more bytes are going to be held; throws when there is no room for them. */
  readonly reserve: (bytes: number) => void;
}

export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** How long the client says its body is; 0 when it does not say. */
export function declaredBytes({ headers }: IncomingMessage): number {
  return Number(headers['content-length'] ?? 0);
}

/** Raises BodyTooLarge, BodyTooSlow, `invalid` when the client goes, and what `reserve` throws. */
export async function readWhole(incoming: IncomingMessage, limits: ReadLimits): Promise<Buffer> {
  const { bytesMax, deadlineMs, reserve } = limits;
  const declared = declaredBytes(incoming);
  let reserved = declared;
  reserve(reserved);
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  // In one piece where the length is known: joining pieces would hold the body twice.
  const whole = declared > 0 ? Buffer.allocUnsafe(declared) : null;
  const chunks: Buffer[] = [];
  let bytes = 0;
  const onData = (chunk: Buffer) => {
    const begin = bytes;
    bytes += chunk.length;
    if (bytes > bytesMax) return reject(new BodyTooLarge(bytesMax));
    if (whole !== null) return void chunk.copy(whole, begin);
    try {
      reserve(Math.max(0, bytes - reserved));
      reserved = Math.max(reserved, bytes);
      chunks.push(chunk);
    } catch (error) {
      reject(error);
    }
  };
  const onEnd = () => resolve(whole ?? Buffer.concat(chunks));
  const onGone = () => reject(new AppError('invalid', 'the request ended before its body did'));
  if (incoming.destroyed && !incoming.complete) onGone();
  const timer = setTimeout(() => reject(new BodyTooSlow(deadlineMs)), deadlineMs);
  incoming.on('data', onData).on('end', onEnd).on('close', onGone).on('error', onGone);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    incoming.off('data', onData).off('end', onEnd).off('close', onGone).off('error', onGone);
  }
}
