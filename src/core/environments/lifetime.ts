/**
 * How long an environment lives. Pure. A lifetime runs while the environment is active and stands still while it is
 * stopped. What is longer than the host allows is shortened, and a warning says so.
 */
import { timeAfter } from '../../lib/times.ts';
import { AppError } from '../errors.ts';
import type { Environment, EnvironmentPatch } from './environment.ts';

/** Six hours; the default, and the longest unless the host is configured otherwise. */
export const lifetimeSecondsDefault = 21_600;

export interface Lifetime {
  readonly seconds: number;
  /** Says that the lifetime was shortened. */
  readonly warnings: readonly string[];
}

/** Absent or 0 is the default. `secondsMax`: the longest that the host allows. */
export function planLifetime(seconds: number | undefined, secondsMax: number): Lifetime {
  const wanted = seconds || Math.min(lifetimeSecondsDefault, secondsMax);
  if (wanted <= secondsMax) return { seconds: wanted, warnings: [] };
  const warning = `lifetime was shortened from ${wanted} s to ${secondsMax} s, the most that this host allows`;
  return { seconds: secondsMax, warnings: [warning] };
}

/** When the environment is to end: after so many seconds from now, or at a time. */
export type End = { readonly lifetimeSeconds: number | undefined } | { readonly expiresAt: string };

export interface Extension {
  readonly patch: EnvironmentPatch;
  readonly warnings: readonly string[];
}

/** Raises `invalid` for a time that has passed. A stopped environment gets the lifetime for when it is started. */
export function planExtension({ state }: Environment, end: End, now: Date, secondsMax: number): Extension {
  const wanted = 'expiresAt' in end ? secondsUntil(end.expiresAt, now) : end.lifetimeSeconds;
  const { seconds, warnings } = planLifetime(wanted, secondsMax);
  const patch =
    state === 'active' ? { expiresAt: timeAfter(now, seconds * 1000) } : { remainingMs: seconds * 1000 };
  return { patch, warnings };
}

function secondsUntil(time: string, now: Date): number {
  const ms = Date.parse(time) - now.getTime();
  if (ms > 0) return ms / 1000;
  throw new AppError('invalid', 'expires_at must be in the future', {
    hint: 'To end the environment now, delete it.',
  });
}
