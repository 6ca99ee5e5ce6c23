/** Reads a request's body completely, with limits on size, time and the caller's memory budget. */
import type { IncomingMessage } from 'node:http';
import { AppError } from '../core/errors.ts';
import { BodyTooLarge, BodyTooSlow } from './errors.ts';

export interface ReadLimits {
  readonly bytesMax: number;
  /** For the whole body. */
  readonly deadlineMs: number;
  /** Called with the number of further bytes to hold; throws when there is no room. */
  readonly reserve: (bytes: number) => void;
}

export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** The body's length as declared by the client; 0 when unknown. */
export function declaredBytes({ headers }: IncomingMessage): number {
  return Number(headers['content-length'] ?? 0);
}

/** Raises BodyTooLarge, BodyTooSlow, `invalid` when the client disconnects, and errors of `reserve`. */
export async function readWhole(incoming: IncomingMessage, limits: ReadLimits): Promise<Buffer> {
  const { bytesMax, deadlineMs, reserve } = limits;
  const declared = declaredBytes(incoming);
  let reserved = declared;
  reserve(reserved);
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  // A single buffer if the length is known: joining chunks would hold the body twice.
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
  const onGone = () =>
    reject(
      new AppError('invalid', 'the request ended before its body did', { hint: 'Send all of the body.' }),
    );
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
