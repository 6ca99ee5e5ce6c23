/**
 * How long a machine lives. Pure: `transition.ts` calls `lifetimeIn` for every change of a state and `update.ts` for every
 * change of a lifetime, in the transaction that writes it; `expiry.ts` carries out the end.
 *
 * A lifetime is in one of three phases: it runs (`expiresAt`), it stands still while the machine is paused or suspended
 * (`remainingMs`), or it has ended without deleting the machine (neither). One that has ended begins anew, as long as it was,
 * when the machine runs again.
 */
import { timeAfter } from '../../lib/times.ts';
import type { ExpiryAction, Machine, MachineSpec } from './machine.ts';
import { isTransit, type MachineState } from './states.ts';

/** At most one is set. */
export type LifetimeTimes = Pick<Machine, 'expiresAt' | 'remainingMs'>;

/** States in which a lifetime may stand still: paused and suspended, and those on the way out of them. */
export const statesWithRemaining: readonly MachineState[] = [
  'paused',
  'resuming',
  'suspending',
  'suspended',
  'starting',
  'stopping',
  'deleting',
];

/** States without a guest that could go on by itself. */
const statesAtRest: readonly MachineState[] = ['created', 'stopped', 'suspended'];

/** The times of a machine that is in a state, or enters it, at `at`. In a transit state they stay as they are. */
export function lifetimeIn(
  machine: LifetimeTimes & Pick<Machine, 'spec'>,
  state: MachineState,
  at: Date,
): LifetimeTimes {
  const { spec, expiresAt, remainingMs } = machine;
  const same = { expiresAt, remainingMs };
  if (isTransit(state) || state === 'deleted') return same;
  if (isPast(expiresAt, at)) return isInForce(spec.onExpire, state) ? ended : same;
  if (standsStill(spec, state)) return holdLifetime(same, at);
  if (remainingMs !== null) return resumeLifetime(same, at);
  const isNew = state === 'running' && expiresAt === null && spec.lifetimeSeconds !== null;
  return isNew ? newLifetime(spec.lifetimeSeconds, at) : same;
}

/** Whether the machine is as the end of its lifetime would leave it, or rests deeper than that. */
export function isInForce(action: ExpiryAction, state: MachineState): boolean {
  if (action === 'delete') return false;
  return statesAtRest.includes(state) || (action === 'pause' && state === 'paused');
}

/** A lifetime that begins at `at`; null: none. */
export function newLifetime(seconds: number | null, at: Date): LifetimeTimes {
  return { expiresAt: seconds === null ? null : timeAfter(at, seconds * 1000), remainingMs: null };
}

/** Stops the count. At least a second is left, so that a machine can be given more after it has been resumed. */
export function holdLifetime({ expiresAt, remainingMs }: LifetimeTimes, at: Date): LifetimeTimes {
  if (expiresAt === null) return { expiresAt, remainingMs };
  return { expiresAt: null, remainingMs: Math.max(1_000, Date.parse(expiresAt) - at.getTime()) };
}

/** Goes on counting where `holdLifetime` stopped. */
export function resumeLifetime({ expiresAt, remainingMs }: LifetimeTimes, at: Date): LifetimeTimes {
  return { expiresAt: remainingMs === null ? expiresAt : timeAfter(at, remainingMs), remainingMs: null };
}

/** Whether a due time has come; null never comes. */
export function isPast(time: string | null, now: Date): boolean {
  return time !== null && Date.parse(time) <= now.getTime();
}

const ended: LifetimeTimes = { expiresAt: null, remainingMs: null };

function standsStill({ lifetimeCounts }: MachineSpec, state: MachineState): boolean {
  return lifetimeCounts === 'unless_paused' && (state === 'paused' || state === 'suspended');
}
