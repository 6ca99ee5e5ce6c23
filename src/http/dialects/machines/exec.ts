/** One exec session as this dialect answers it: gathered into one object, or as newline-delimited JSON. */
import { constants } from 'node:os';
import { AppError } from '../../../core/errors.ts';
import type { ExecEvent, ExecOutcome, ExecSession } from '../../../core/ports/guest.ts';
import type { ExecEventBody, ExecResultBody } from './schema.ts';

/** Of each stream a buffered answer holds this much; the rest is read and dropped, and the answer says so. */
export const bufferedBytesMax = 10 * 1024 * 1024;
/** A stream that says nothing for so long is told that it lives; proxies cut at 60 s and more. */
const heartbeatMs = 10_000;

/** One buffer that grows: a list of what came would hold far more than it counts, when little comes at a time. */
class Gathered {
  #buffer = Buffer.alloc(0);
  #bytes = 0;
  isTruncated = false;

  push(data: Uint8Array): void {
    const kept = data.subarray(0, bufferedBytesMax - this.#bytes);
    if (kept.length < data.length) this.isTruncated = true;
    if (kept.length === 0) return;
    this.#reserve(this.#bytes + kept.length);
    this.#buffer.set(kept, this.#bytes);
    this.#bytes += kept.length;
  }

  text(): string {
    return this.#buffer.toString('utf8', 0, this.#bytes);
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#buffer.length) return;
    const larger = Buffer.alloc(Math.min(bufferedBytesMax, Math.max(bytes, 2 * this.#buffer.length, 4096)));
    this.#buffer.copy(larger, 0, 0, this.#bytes);
    this.#buffer = larger;
  }
}

/** Raises `timeout` when the command was killed at its deadline and `guest` when nobody knows how it ended. */
export async function gather(session: ExecSession, timeoutMs: number): Promise<ExecResultBody> {
  const streams = { stdout: new Gathered(), stderr: new Gathered() };
  let outcome: ExecOutcome | null = null;
  for await (const event of session) {
    if (event.type === 'outcome') outcome = event.outcome;
    else streams[event.type].push(event.data);
  }
  const ended = exitOf(
    outcome ?? { outcome: 'unknown', reason: 'the guest did not say how it ended' },
    timeoutMs,
  );
  return {
    ...ended,
    stdout: streams.stdout.text(),
    stderr: streams.stderr.text(),
    stdout_truncated: streams.stdout.isTruncated,
    stderr_truncated: streams.stderr.isTruncated,
  };
}

function exitOf(
  outcome: ExecOutcome,
  timeoutMs: number,
): Pick<ExecResultBody, 'exit_code' | 'outcome' | 'signal'> {
  switch (outcome.outcome) {
    case 'exited':
      return { exit_code: outcome.exitCode, outcome: 'exited', signal: null };
    case 'signalled':
      return { exit_code: signalExitCode(outcome.signal), outcome: 'signalled', signal: outcome.signal };
    case 'timed_out':
      throw new AppError('timeout', `Command execution timed out after ${timeoutMs / 1000} seconds`, {
        isMaybeDone: true,
      });
    case 'unknown':
      throw new AppError('guest', 'Failed to communicate with VM', {
        isMaybeDone: true,
        hint: `How the command ended is not known: ${outcome.reason}.`,
      });
  }
}

function signalExitCode(signal: string): number {
  const numbers: Readonly<Record<string, number>> = constants.signals;
  return 128 + (numbers[`SIG${signal}`] ?? 0);
}

/**
 * The session as lines of JSON, pulled as fast as the client reads; leaving early kills the command. When the session
 * fails, `cut` ends the connection: a stream without an outcome must not look whole.
 */
export function toNdjson(session: ExecSession, cut: () => void): ReadableStream<Uint8Array> {
  const iterator = session[Symbol.asyncIterator]();
  const offsets = { stdout: 0, stderr: 0 };
  let pending: Promise<IteratorResult<ExecEvent>> | null = null;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        pending ??= iterator.next();
        const result = await orHeartbeat(pending).catch(() => null);
        if (result === 'heartbeat') return controller.enqueue(line({ type: 'heartbeat' }));
        pending = null;
        if (result === null) cut();
        if (result === null || result.done) return controller.close();
        controller.enqueue(line(toEventBody(result.value, offsets)));
      },
      async cancel() {
        await iterator.return?.();
      },
    },
    { highWaterMark: 1 },
  );
}

async function orHeartbeat<T>(promise: Promise<T>): Promise<T | 'heartbeat'> {
  const { promise: heartbeat, resolve } = Promise.withResolvers<'heartbeat'>();
  const timer = setTimeout(() => resolve('heartbeat'), heartbeatMs);
  try {
    return await Promise.race([promise, heartbeat]);
  } finally {
    clearTimeout(timer);
  }
}

function toEventBody(event: ExecEvent, offsets: { stdout: number; stderr: number }): ExecEventBody {
  if (event.type !== 'outcome') {
    const offset = offsets[event.type];
    offsets[event.type] += event.data.length;
    const { buffer, byteOffset, byteLength } = event.data;
    return { type: event.type, offset, data: Buffer.from(buffer, byteOffset, byteLength).toString('base64') };
  }
  const { outcome } = event;
  return {
    type: 'outcome',
    outcome: outcome.outcome,
    exit_code: outcome.outcome === 'exited' ? outcome.exitCode : null,
    signal: outcome.outcome === 'signalled' ? outcome.signal : null,
    reason: outcome.outcome === 'unknown' ? outcome.reason : null,
  };
}

const encoder = new TextEncoder();

function line(event: ExecEventBody): Uint8Array {
  return encoder.encode(`${JSON.stringify(event)}\n`);
}
