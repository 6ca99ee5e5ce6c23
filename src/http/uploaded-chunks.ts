/** A request body that its consumer reads as it arrives, with limits on slow senders. */
import type { ServerResponse } from 'node:http';
import type { Http2ServerResponse } from 'node:http2';
import type { Readable } from 'node:stream';
import { AppError } from '../core/errors.ts';
import { BodyTooSlow } from './errors.ts';

/** Only time spent waiting for the client counts. */
export interface UploadLimits {
  /** How long the body may stall. */
  readonly idleMs: number;
  /**
   * Total time allowed in addition to what the minimum rate allows; a silent sender is bounded by `idleMs`.
   */
  readonly graceMs: number;
  /** The minimum rate: how long 1 MiB may take. */
  readonly mibMs: number;
}

export const uploadLimitsDefault: UploadLimits = { idleMs: 60_000, graceMs: 20_000, mibMs: 10_000 };

const mib = 2 ** 20;

/**
 * Yields the body's bytes. Nothing is read and no time counts before the first read, so an upload that waits
 * for its turn is not slow. A sender below the limits gets BodyTooSlow, and its connection is closed after
 * the answer.
 */
export async function* uploadedChunks(
  incoming: Readable,
  outgoing: ServerResponse | Http2ServerResponse,
  limits = uploadLimitsDefault,
): AsyncIterable<Uint8Array> {
  let bytes = 0;
  let waitedMs = 0;
  // An error while nobody waits is reported by the next read, and is not a bug.
  incoming.on('error', () => undefined);
  try {
    for (;;) {
      const chunk = incoming.read() as Buffer | null;
      if (chunk !== null) {
        bytes += chunk.length;
        yield chunk;
        continue;
      }
      if (incoming.readableEnded) return;
      const begun = performance.now();
      const leftMs = limits.graceMs + (bytes / mib) * limits.mibMs - waitedMs;
      await more(incoming, Math.max(0, Math.min(limits.idleMs, leftMs)), () => new UploadTooSlow(limits));
      waitedMs += performance.now() - begun;
    }
  } catch (error) {
    if (error instanceof BodyTooSlow && !outgoing.headersSent) outgoing.setHeader('Connection', 'close');
    throw error;
  } finally {
    // After the answer, nobody needs the rest of the body.
    if (outgoing.writableFinished) incoming.resume();
  }
}

/** Resolves when there is data or the body has ended; waits at most `timeoutMs`. */
async function more(incoming: Readable, timeoutMs: number, makeReason: () => Error): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onGone = () => reject(new AppError('unavailable', 'the client has gone'));
  if (incoming.destroyed) onGone();
  const timer = setTimeout(() => reject(makeReason()), timeoutMs);
  incoming.on('readable', resolve).on('end', resolve).on('close', onGone).on('error', onGone);
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    incoming.off('readable', resolve).off('end', resolve).off('close', onGone).off('error', onGone);
  }
}

class UploadTooSlow extends BodyTooSlow {
  override readonly message: string;

  constructor({ idleMs, mibMs }: UploadLimits) {
    super(idleMs);
    this.message = `the upload stopped, or was slower than 1 MiB in ${mibMs / 1000} seconds`;
  }
}
