/** The opening of a connection, host's end; part 1 of `protocol.ts`. */
import { createHash, createHmac, randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { AppError } from '../core/errors.ts';
import { nonceBytes, tokenBytes } from './protocol.ts';

/**
 * The secret token of an incarnation: derived, so nothing is stored, and one token reveals nothing about
 * another.
 */
export function incarnationToken(secret: Uint8Array, incarnation: string): Buffer {
  return createHmac('sha256', secret).update(incarnation).digest().subarray(0, tokenBytes);
}

/** SHA-256(token ‖ "ack"). */
export function preambleAck(token: Uint8Array): Buffer {
  return createHash('sha256').update(token).update('ack').digest();
}

export interface PreambleOptions {
  readonly token: Uint8Array;
  readonly discardBytesMax: number;
  /** Aborting ends the wait; the caller then destroys the carrier. */
  readonly signal: AbortSignal;
}

/**
 * Sends the preamble and skips everything up to its answer. Resolves with the bytes after the answer; the
 * carrier is then paused. Rejects with `guest` when the carrier ends or too many stale bytes come, else with
 * the signal's reason.
 */
export function exchangePreamble(carrier: Duplex, options: PreambleOptions): Promise<Buffer> {
  const { token, signal } = options;
  if (signal.aborted) return Promise.reject(signal.reason);
  const nonce = randomBytes(nonceBytes);
  const scanner = new AnswerScanner(Buffer.concat([preambleAck(token), nonce]), options.discardBytesMax);
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();

  const onData = (chunk: Buffer) => {
    const rest = scanner.push(chunk);
    if (rest !== null) settle(() => resolve(rest));
    else if (scanner.isExhausted)
      settle(() => reject(new AppError('guest', 'the guest sent no answer to the preamble, only noise')));
  };
  const onGone = (error?: Error) =>
    settle(() =>
      reject(
        new AppError('guest', 'the guest link was lost before it was opened', error ? { cause: error } : {}),
      ),
    );
  const onAbort = () => settle(() => reject(signal.reason));
  const settle = (finish: () => void) => {
    carrier.pause();
    carrier.off('data', onData).off('end', onGone).off('close', onGone).off('error', onGone);
    signal.removeEventListener('abort', onAbort);
    // Until the next owner adds its listeners, an error must not crash the process.
    carrier.on('error', () => undefined);
    finish();
  };

  carrier.on('data', onData).on('end', onGone).on('close', onGone).on('error', onGone);
  signal.addEventListener('abort', onAbort, { once: true });
  carrier.write(Buffer.concat([token, nonce]));
  return promise;
}

/** Searches for the answer in arbitrarily split chunks; keeps at most the answer's length between them. */
class AnswerScanner {
  readonly #answer: Buffer;
  #bytesLeft: number;
  #tail: Buffer = Buffer.alloc(0);

  constructor(answer: Buffer, bytesMax: number) {
    this.#answer = answer;
    this.#bytesLeft = bytesMax;
  }

  get isExhausted(): boolean {
    return this.#bytesLeft <= 0;
  }

  /** The bytes after the answer, once it is found. */
  push(chunk: Buffer): Buffer | null {
    const bytes = Buffer.concat([this.#tail, chunk]);
    const index = bytes.indexOf(this.#answer);
    if (index >= 0) return bytes.subarray(index + this.#answer.length);
    this.#bytesLeft -= chunk.length;
    this.#tail = bytes.subarray(Math.max(0, bytes.length - this.#answer.length + 1));
    return null;
  }
}
