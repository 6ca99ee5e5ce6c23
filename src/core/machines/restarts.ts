/**
 * Restart policies: decides whether and when an ended machine is started again. Pure; `keeper.ts` carries it
 * out. Called in the transaction that records the end of a run or start, so that no crash loses a restart.
 *
 * Example: policy `on-failure`, the VMM dies for the third time in a row → the machine is `failed` and its
 * `restartAt` is 4 s later. After `restartsMax` in a row it stays failed until a request starts it.
 */
import { timeAfter } from '../../lib/times.ts';
import type { MachinePatch } from '../ports/store.ts';
import type { Machine } from './machine.ts';

/**
 * Consecutive restarts; with the delays below, the last one comes a quarter of an hour after the first
 * failure.
 */
export const restartsMax = 10;
const firstDelayMs = 1_000;
/** The same as in Kubernetes. */
const delayMsMax = 300_000;
/**
 * After running this long, a machine's end has a new cause and the count is reset. The same as in Kubernetes.
 */
const steadyMs = 600_000;
/**
 * Delay when the host has no room for the machine. This is not the machine's failure, so it does not count.
 */
const noRoomDelayMs = 30_000;

export type RestartPlan = Required<Pick<MachinePatch, 'restartAt' | 'restartCount'>>;

/** The changes to record for a `starting`, `running` or `paused` machine that now ends as `to`. */
export function planRestart(machine: Machine, to: 'stopped' | 'failed', at: Date): RestartPlan {
  const { state, desired, spec, startedAt } = machine;
  const isSteady =
    state === 'running' && startedAt !== null && at.getTime() - Date.parse(startedAt) >= steadyMs;
  const restartCount = isSteady ? 0 : machine.restartCount;
  const isWanted = spec.restart === 'always' || (spec.restart === 'on-failure' && to === 'failed');
  const isToRun = desired === 'running' && state !== 'paused';
  const isBounded = restartCount < restartsMax;
  return {
    restartCount,
    restartAt: isWanted && isToRun && isBounded ? timeAfter(at, delayOf(restartCount)) : null,
  };
}

/** The changes to record when a due restart could not begin. */
export function planRetry(machine: Machine, hasNoRoom: boolean, at: Date): RestartPlan {
  if (hasNoRoom) return { restartCount: machine.restartCount, restartAt: timeAfter(at, noRoomDelayMs) };
  return planRestart({ ...machine, restartCount: machine.restartCount + 1 }, 'failed', at);
}

function delayOf(restartCount: number): number {
  return Math.min(firstDelayMs * 2 ** restartCount, delayMsMax);
}
