/** Parses what the server says about commands: their outcomes, and their output as base64. */
import { decodeBase64 } from './base64.ts';
import { isRecord } from './errors.ts';
import type { ExecOutcome } from './types.ts';

/** The exit code when the server does not tell the signal's number. */
const signalledCode = 128;

/** A piece of output in its wire form; throws TypeError when a field is missing. Null: an event of another type. */
export function parseOutput(value: unknown) {
  if (!isRecord(value)) throw new TypeError('an event that is not an object');
  const { type, offset, cursor, data } = value;
  if (type !== 'stdout' && type !== 'stderr') return null;
  const bytes = typeof data === 'string' ? decodeBase64(data) : null;
  if (bytes === null) throw new TypeError(`${type} without base64 data`);
  return { type, offset, cursor, data: bytes } as const;
}

/** Throws TypeError for a value that is no outcome. */
export function parseOutcome(value: Readonly<Record<string, unknown>>): ExecOutcome {
  const { outcome, exit_code: exitCode, signal, reason } = value;
  if (outcome === 'exited' && Number.isInteger(exitCode)) return { outcome, exit_code: Number(exitCode) };
  if (outcome === 'signalled' && typeof signal === 'string')
    return { outcome, signal, exit_code: Number.isInteger(exitCode) ? Number(exitCode) : signalledCode };
  if (outcome === 'timed_out') return { outcome };
  if (outcome === 'unknown') {
    return { outcome, reason: typeof reason === 'string' ? reason : 'the server gave no reason' };
  }
  throw new TypeError('an outcome without a known kind');
}
