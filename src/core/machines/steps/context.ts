/** What the steps of all operations work with. */
import { stripVTControlCharacters } from 'node:util';
import type { Logger } from '../../../lib/log.ts';
import { AppError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Disks } from '../../ports/disks.ts';
import type { EngineDriver } from '../../ports/engine.ts';
import type { GuestLink, GuestTarget } from '../../ports/guest.ts';
import type { Images } from '../../ports/images.ts';
import type { Machine, MachineFailure } from '../machine.ts';

/** How long a look at this host may take where no operation's deadline bounds it. */
export const lookTimeoutMs = 15_000;

export interface Edges {
  readonly engines: ReadonlyMap<string, EngineDriver>;
  readonly guest: GuestLink;
  readonly disks: Disks;
  readonly images: Images;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The driver of a machine's engine; `unsupported` when this host no longer has it. */
export function engineOf(edges: Edges, machine: Machine): EngineDriver {
  const driver = edges.engines.get(machine.spec.engine);
  if (driver) return driver;
  throw new AppError('unsupported', `this host has no engine '${machine.spec.engine}'`, {
    hint: `It has: ${[...edges.engines.keys()].join(', ')}.`,
  });
}

/** Where to reach the guest of a machine that has been launched. */
export function guestOf(machine: Machine): GuestTarget {
  if (!machine.handle || !machine.incarnation) {
    throw new AppError('internal', `machine ${machine.id} has no guest in state ${machine.state}`);
  }
  return { machineId: machine.id, incarnation: machine.incarnation, address: machine.handle.guest };
}

/** What must be free on the host's disk for a guest to begin or to go on, in MiB: its first writes would stop it again. */
export const guestFreeMibMin = 64;

/** Raises `exhausted` when a guest would soon find the host's disk full; also keeps the last of it for records. */
export async function requireDiskSpace(edges: Edges, signal: AbortSignal): Promise<void> {
  const freeMib = await edges.disks.freeMib(signal);
  if (freeMib >= guestFreeMibMin) return;
  throw new AppError(
    'exhausted',
    `the host's disk is full: ${freeMib} MiB are free and a machine needs ${guestFreeMibMin}`,
    { hint: 'Free some space in the state directory, or delete machines.', details: { freeMib } },
  );
}

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
