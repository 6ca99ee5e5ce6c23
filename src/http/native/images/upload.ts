/** A body that is read as it comes, by whom it is for. */
import type { ServerResponse } from 'node:http';
import type { Http2ServerResponse } from 'node:http2';
import type { Readable } from 'node:stream';
import { AppError } from '../../../core/errors.ts';
import { BodyTooSlow } from '../../errors.ts';

/** Only the time that we wait for the client counts. */
export interface UploadLimits {
  /** How long the body may stand still. */
  readonly idleMs: number;
  /** How long it may take in all beside the time that its size allows; who sends nothing is silent for so long only. */
  readonly graceMs: number;
  /** What the least rate is given by: 1 MiB takes at most so long. */
  readonly mibMs: number;
}

export const uploadLimitsDefault: UploadLimits = { idleMs: 60_000, graceMs: 20_000, mibMs: 10_000 };

const mib = 2 ** 20;

/**
 * The body's bytes. Nothing is read and no time counts before the first are asked for: an upload that waits for its turn
 * is not slow. Who is slower than the limits gets BodyTooSlow, and its connection is closed after the answer.
 */
export async function* uploadedChunks(
  incoming: Readable,
  outgoing: ServerResponse | Http2ServerResponse,
  limits = uploadLimitsDefault,
): AsyncIterable<Uint8Array> {
  let bytes = 0;
  let waitedMs = 0;
  // One that comes while nobody waits is seen at the next read, and is no defect.
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
    // What is left of a body that was answered meanwhile is nobody's.
    if (outgoing.writableFinished) incoming.resume();
  }
}

/** Resolves when there is something to read or the body has ended; waits for at most `timeoutMs`. */
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
    this.message = `the upload stood still, or came at less than 1 MiB in ${mibMs / 1000} seconds`;
  }
}
