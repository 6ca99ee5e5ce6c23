/** Answers of an exec session: buffered as one object, or streamed as newline-delimited JSON. */
import { AppError, isAppError } from '../../../core/errors.ts';
import type { ExecEvent, ExecOutcome, ExecSession } from '../../../core/ports/guest.ts';
import { exitCodeOfSignal } from '../../../lib/signals.ts';
import type { Gathered } from './gathered.ts';
import type { ExecEventBody, ExecResultBody } from './schema.ts';

export type ExecOutput = Pick<ExecResultBody, 'stdout' | 'stderr' | 'stdout_truncated' | 'stderr_truncated'>;
type ExecEnd = Omit<ExecResultBody, keyof ExecOutput>;

/** Interval of heartbeats in a silent stream; proxies close idle ones after 60 s or more. */
const heartbeatMs = 10_000;
/** How much of each stream the error about a command that did not end by itself contains. */
const shownBytesMax = 1024 * 1024;
/** Larger answers are sent in chunks: a single string would take several times their size. */
const wholeBytesMax = 64 * 1024;

export interface Streams {
  readonly stdout: Gathered;
  readonly stderr: Gathered;
}

/**
 * Reads the session to its end. Raises `timeout` when the command was killed at its deadline and `guest` when
 * its outcome is unknown, with the output so far in `details`.
 */
export async function gather(session: ExecSession, streams: Streams, timeoutMs: number): Promise<ExecEnd> {
  let outcome: ExecOutcome = { outcome: 'unknown', reason: 'the guest did not say how it ended' };
  try {
    for await (const event of session) {
      if (event.type === 'outcome') outcome = event.outcome;
      else streams[event.type].push(event.data);
    }
    return endOf(outcome, timeoutMs);
  } catch (error) {
    throw isAppError(error) ? new ExecFailed(error, shown(streams)) : error;
  }
}

/** A command that did not end by itself, or whose outcome is unknown. */
export class ExecFailed extends AppError {
  readonly output: ExecOutput;

  constructor(error: AppError, output: ExecOutput) {
    const { code, message, hint, details, isMaybeDone } = error;
    super(code, message, {
      cause: error,
      isMaybeDone,
      ...(hint === undefined ? {} : { hint }),
      ...(details === undefined ? {} : { details }),
    });
    this.output = output;
  }
}

function shown({ stdout, stderr }: Streams): ExecOutput {
  return {
    stdout: stdout.text(shownBytesMax),
    stderr: stderr.text(shownBytesMax),
    stdout_truncated: stdout.isTruncated || stdout.bytes > shownBytesMax,
    stderr_truncated: stderr.isTruncated || stderr.bytes > shownBytesMax,
  };
}

/**
 * The answer as chunks of JSON, in the order of ExecResult’s fields; null when it is small enough for a
 * single value.
 */
export function largeAnswer(end: ExecEnd, { stdout, stderr }: Streams): ReadableStream<Uint8Array> | null {
  if (stdout.bytes + stderr.bytes <= wholeBytesMax) return null;
  return ReadableStream.from(
    (function* () {
      yield encoder.encode(`${JSON.stringify(end).slice(0, -1)},"stdout":"`);
      for (const text of stdout.texts()) yield encoder.encode(JSON.stringify(text).slice(1, -1));
      yield encoder.encode('","stderr":"');
      for (const text of stderr.texts()) yield encoder.encode(JSON.stringify(text).slice(1, -1));
      const flags = { stdout_truncated: stdout.isTruncated, stderr_truncated: stderr.isTruncated };
      yield encoder.encode(`",${JSON.stringify(flags).slice(1)}`);
    })(),
  );
}

export function smallAnswer(end: ExecEnd, { stdout, stderr }: Streams): ExecResultBody {
  return {
    ...end,
    stdout: stdout.text(),
    stderr: stderr.text(),
    stdout_truncated: stdout.isTruncated,
    stderr_truncated: stderr.isTruncated,
  };
}

function endOf(outcome: ExecOutcome, timeoutMs: number): ExecEnd {
  switch (outcome.outcome) {
    case 'exited':
      return { exit_code: outcome.exitCode, outcome: 'exited', signal: null };
    case 'signalled':
      return { exit_code: exitCodeOfSignal(outcome.signal), outcome: 'signalled', signal: outcome.signal };
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

/**
 * The session as lines of JSON, read as fast as the client reads; a client that disconnects kills the
 * command. When the session fails, `cut` closes the connection, because a stream without an outcome must not
 * look complete.
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
    exit_code: exitCodeOf(outcome),
    signal: outcome.outcome === 'signalled' ? outcome.signal : null,
    reason: outcome.outcome === 'unknown' ? outcome.reason : null,
  };
}

function exitCodeOf(outcome: ExecOutcome): number | null {
  if (outcome.outcome === 'exited') return outcome.exitCode;
  return outcome.outcome === 'signalled' ? exitCodeOfSignal(outcome.signal) : null;
}

const encoder = new TextEncoder();

function line(event: ExecEventBody): Uint8Array {
  return encoder.encode(`${JSON.stringify(event)}\n`);
}
