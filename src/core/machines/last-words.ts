/**
 * The guest's last words: the end of its console as lines that are safe to show, and a failure that quotes them. Guest output
 * is hostile, so nothing here reaches a person unprinted.
 */
import { stripVTControlCharacters } from 'node:util';
import type { AppError } from '../errors.ts';
import type { Machine, MachineFailure } from './machine.ts';
import { type Edges, engineOf, lookTimeoutMs } from './steps/context.ts';

/** A panic prints some 4 KiB after the line that names it. */
const consoleTailBytes = 16_384;
/** How many lines of the console a failure quotes. */
const quotedLinesMax = 12;

/** The end of the console as printable lines; empty when there is none. */
export async function consoleTail(edges: Edges, machine: Machine): Promise<readonly string[]> {
  if (!machine.incarnation) return [];
  try {
    const signal = AbortSignal.timeout(lookTimeoutMs);
    const { console } = engineOf(edges, machine);
    const bytes = await console?.read(machine.incarnation, consoleTailBytes, signal);
    return printableLines(new TextDecoder().decode(bytes ?? new Uint8Array()));
  } catch (error) {
    edges.log.warn({ machine: machine.id, err: error }, 'console cannot be read');
    return [];
  }
}

export function isPanic(line: string): boolean {
  return line.includes('Kernel panic');
}

/** What a failure shows of the console: its last lines, and the panic before them if there was one. */
export function quoteConsole(lines: readonly string[]): readonly string[] {
  const last = lines.slice(-quotedLinesMax);
  const panic = lines.findLast(isPanic);
  return panic === undefined || last.includes(panic) ? last : [panic, ...last.slice(1)];
}

/** Guest output is hostile: escape sequences and control characters never reach a person's terminal through us. */
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

/** A failure of an operation as the machine shows it, with the console's last words when the guest had any. */
export async function failureOf(
  edges: Edges,
  machine: Machine,
  error: AppError,
  at: Date,
): Promise<MachineFailure> {
  const code =
    error.code === 'engine' ? 'engine_failed' : error.code === 'timeout' ? 'timed_out' : error.code;
  return {
    code,
    message: error.message,
    at: at.toISOString(),
    console: quoteConsole(await consoleTail(edges, machine)),
  };
}
