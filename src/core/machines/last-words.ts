/**
 * The guest's last words: the end of its console as printable lines, and a failure that quotes them. Guest
 * output is not trusted, so it never reaches a person unfiltered.
 */
import { stripVTControlCharacters } from 'node:util';
import type { AppError } from '../errors.ts';
import type { SubjectFailure } from '../operations/operation.ts';
import { diskFullReason } from '../ports/engine.ts';
import type { Machine } from './machine.ts';
import { type Edges, engineOf, lookTimeoutMs } from './steps/context.ts';

/** A panic prints about 4 KiB after the line that names it. */
const consoleTailBytes = 16_384;
/** How many console lines a failure quotes. */
const quotedLinesMax = 12;

/** The end of the console as printable lines; empty when there is none. */
export async function consoleTail(edges: Edges, machine: Machine): Promise<readonly string[]> {
  if (!machine.incarnation) return [];
  try {
    const signal = AbortSignal.timeout(lookTimeoutMs);
    const { console } = engineOf(edges, machine);
    const piece = await console?.read(machine.incarnation, consoleTailBytes, signal);
    return printableLines(new TextDecoder().decode(piece?.bytes ?? new Uint8Array()));
  } catch (error) {
    edges.log.warn({ machine: machine.id, err: error }, 'console not read');
    return [];
  }
}

export function isPanic(line: string): boolean {
  return line.includes('Kernel panic');
}

/** The console lines that a failure shows: the last ones, and an earlier panic line if there is one. */
export function quoteConsole(lines: readonly string[]): readonly string[] {
  const last = lines.slice(-quotedLinesMax);
  const panic = lines.findLast(isPanic);
  return panic === undefined || last.includes(panic) ? last : [panic, ...last.slice(1)];
}

/** Removes escape sequences and control characters, which must not reach a person's terminal. */
export function printableLines(text: string): string[] {
  return stripVTControlCharacters(text)
    .split('\n')
    .map((line) => Array.from(line, (character) => (isControl(character) ? '' : character)).join(''))
    .filter((line) => line.trim() !== '');
}

/** C0 without the tab, DEL and C1. */
function isControl(character: string): boolean {
  const code = character.codePointAt(0) ?? 0;
  return (code < 32 && code !== 9) || (code >= 127 && code < 160);
}

/** Builds the failure that the machine shows from an operation's error, with the console's last lines. */
export async function failureOf(
  edges: Edges,
  machine: Machine,
  error: AppError,
  at: Date,
): Promise<SubjectFailure> {
  return {
    code: failureCode(error),
    message: error.message,
    at: at.toISOString(),
    console: quoteConsole(await consoleTail(edges, machine)),
  };
}

function failureCode(error: AppError): string {
  if (error.code === 'engine') return 'engine_failed';
  if (error.code === 'timeout') return 'timed_out';
  return error.details?.reason === diskFullReason ? diskFullReason : error.code;
}
