/**
 * Derives from the remains of an ended VMM how it ended. Pure: event and console in, facts out.
 *
 * The guest controls the console, so a guest can lie, but only about itself: it can only appear stopped
 * instead of failed, or the reverse.
 */
import { constants } from 'node:os';
import type { ExitFacts } from '../../core/ports/engine.ts';

/** How much of the console's end is examined, in bytes: more than a panic's call trace. */
export const consoleTailBytes = 16 * 1024;

const announcement = /^flotilla: guest asked for (poweroff|reboot|halt)\s*$/;
const kernelPanic = /Kernel panic - not syncing: (.{1,200})/;
const kernelEnd = /reboot: (Power down|System halted|Restarting system)/;

type ConsoleVerdict =
  | { readonly kind: 'announced'; readonly what: string }
  | { readonly kind: 'panic'; readonly why: string }
  | { readonly kind: 'kernel'; readonly what: string }
  | { readonly kind: 'silent' };

/**
 * The last statement on the console about an end. An announcement takes precedence over later kernel
 * messages, because a kernel without ACPI powers off by a reset; a panic after the announcement takes
 * precedence over both.
 */
function readConsoleEnd(console: string): ConsoleVerdict {
  let verdict: ConsoleVerdict = { kind: 'silent' };
  for (const line of console.split(/\r?\n/)) {
    const announced = announcement.exec(line)?.[1];
    const panic = kernelPanic.exec(line)?.[1];
    const kernel = kernelEnd.exec(line)?.[1];
    if (announced !== undefined) verdict = { kind: 'announced', what: announced };
    else if (panic !== undefined) verdict = { kind: 'panic', why: panic.trim() };
    else if (kernel !== undefined && verdict.kind !== 'announced' && verdict.kind !== 'panic')
      verdict = { kind: 'kernel', what: kernel };
  }
  return verdict;
}

function facts(kind: ExitFacts['kind'], reason: string): ExitFacts {
  return { kind, exitCode: null, signal: null, reason };
}

/**
 * Facts of a guest that ended while its VMM did not. `event` is the reason in QEMU's SHUTDOWN event
 * (`guest-shutdown`, `guest-reset`, …); null when nobody was connected to receive it.
 */
export function guestExitFacts(event: string | null, console: string): ExitFacts {
  const end = readConsoleEnd(console);
  if (event === 'guest-shutdown') return facts('powered_off', 'the guest powered off');
  switch (end.kind) {
    case 'announced':
      return end.what === 'reboot'
        ? facts('reset', 'the guest rebooted')
        : facts('powered_off', `the guest asked for ${end.what}`);
    case 'panic':
      return facts('reset', `the guest's kernel panicked: ${end.why}`);
    case 'kernel':
      return event === 'guest-reset' || end.what === 'Restarting system'
        ? facts('reset', 'the guest reset itself')
        : facts('powered_off', 'the guest powered off');
    case 'silent':
      return facts('reset', 'the guest reset itself and said nothing');
  }
}

export function stoppedFacts(): ExitFacts {
  return facts('stopped', 'the machine was stopped');
}

/** The VMM's last lines without the warnings that it prints at every start; null when there are none. */
export function lastWords(log: string): string | null {
  const lines = log
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.includes(': warning: '));
  return lines.length === 0 ? null : lines.slice(-3).join(' | ').slice(-500);
}

/**
 * Facts of a VMM that exited by itself or was killed; code and signal are null for a process that was not our
 * child.
 */
export function diedFacts(exitCode: number | null, signal: string | null, log: string): ExitFacts {
  const how =
    signal !== null
      ? `the VMM was ended by ${signal}`
      : exitCode !== null
        ? `the VMM exited with ${exitCode}`
        : 'the VMM ended';
  const words = lastWords(log);
  return { kind: 'died', exitCode, signal, reason: words === null ? how : `${how}: ${words}` };
}

/** Reads facts from JSON; null when they are incomplete. */
export function parseExitFacts(value: unknown): ExitFacts | null {
  if (typeof value !== 'object' || value === null) return null;
  const { kind, exitCode, signal, reason } = value as Record<string, unknown>;
  if (kind !== 'powered_off' && kind !== 'reset' && kind !== 'stopped' && kind !== 'died') return null;
  if (typeof reason !== 'string') return null;
  return {
    kind,
    exitCode: typeof exitCode === 'number' ? exitCode : null,
    signal: typeof signal === 'string' ? signal : null,
    reason,
  };
}

/** How a process ended: exactly one of the two is null. */
export interface ExitStatus {
  readonly exitCode: number | null;
  readonly signal: string | null;
}

/** Reads the launch shim's status file, which has signal numbers; null when it is incomplete. */
export function parseExitStatus(value: unknown): ExitStatus | null {
  if (typeof value !== 'object' || value === null) return null;
  const { exitCode, signal } = value as Record<string, unknown>;
  if (typeof exitCode === 'number') return { exitCode, signal: null };
  const name = Object.entries(constants.signals).find(([, number]) => number === signal)?.[0];
  return typeof signal === 'number' ? { exitCode: null, signal: name ?? `signal ${signal}` } : null;
}
