/** The buffered answer of a command: one object, with the output and how the command ended. */
import { AppError, isAppError } from '../../../../core/errors.ts';
import type { ExecOutcome, ExecSession } from '../../../../core/ports/guest.ts';
import { exitCodeOfSignal } from '../../../../lib/signals.ts';
import type { Encoding, Gathered } from '../../../gathered.ts';
import type { ExecResultBody } from './schema.ts';

export type ExecOutput = Pick<
  ExecResultBody,
  'stdout' | 'stderr' | 'stdout_truncated' | 'stderr_truncated' | 'stdout_bytes' | 'stderr_bytes'
>;
type ExecEnd = Omit<ExecResultBody, keyof ExecOutput>;

/** How much of each stream the error about a command that did not end by itself contains. */
const shownBytesMax = 1024 * 1024;
/** Larger answers are sent in chunks: a single string would take several times their size. */
const wholeBytesMax = 64 * 1024;

export interface Streams {
  readonly stdout: Gathered;
  readonly stderr: Gathered;
  /** How the answer shows them. */
  readonly encoding: Encoding;
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

function shown({ stdout, stderr, encoding }: Streams): ExecOutput {
  return {
    stdout: stdout.text(encoding, shownBytesMax),
    stderr: stderr.text(encoding, shownBytesMax),
    stdout_truncated: stdout.isTruncated || stdout.bytes > shownBytesMax,
    stderr_truncated: stderr.isTruncated || stderr.bytes > shownBytesMax,
    ...writtenOf({ stdout, stderr }),
  };
}

function writtenOf({ stdout, stderr }: Pick<Streams, 'stdout' | 'stderr'>) {
  return { stdout_bytes: stdout.written, stderr_bytes: stderr.written };
}

/**
 * The answer as chunks of JSON, in the order of ExecResult’s fields; null when it is small enough for a
 * single value.
 */
export function largeAnswer(end: ExecEnd, streams: Streams): ReadableStream<Uint8Array> | null {
  const { stdout, stderr, encoding } = streams;
  if (stdout.bytes + stderr.bytes <= wholeBytesMax) return null;
  return ReadableStream.from(
    (function* () {
      yield encoder.encode(`${JSON.stringify(end).slice(0, -1)},"stdout":"`);
      for (const text of stdout.texts(encoding)) yield encoder.encode(JSON.stringify(text).slice(1, -1));
      yield encoder.encode('","stderr":"');
      for (const text of stderr.texts(encoding)) yield encoder.encode(JSON.stringify(text).slice(1, -1));
      const flags = { stdout_truncated: stdout.isTruncated, stderr_truncated: stderr.isTruncated };
      yield encoder.encode(`",${JSON.stringify({ ...flags, ...writtenOf(streams) }).slice(1)}`);
    })(),
  );
}

export function smallAnswer(end: ExecEnd, streams: Streams): ExecResultBody {
  const { stdout, stderr, encoding } = streams;
  return {
    ...end,
    stdout: stdout.text(encoding),
    stderr: stderr.text(encoding),
    stdout_truncated: stdout.isTruncated,
    stderr_truncated: stderr.isTruncated,
    ...writtenOf(streams),
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
        hint: 'Set `timeout` to more seconds.',
      });
    case 'unknown':
      throw new AppError('guest', 'Failed to communicate with VM', {
        isMaybeDone: true,
        hint: `The command’s outcome is unknown: ${outcome.reason}.`,
      });
  }
}

const encoder = new TextEncoder();
