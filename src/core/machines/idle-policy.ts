/** Idle policies of machines: when one is due, and which ones an engine can carry out. Pure; `idle-keeper.ts` acts. */
import { timeAfter } from '../../lib/times.ts';
import { AppError } from '../errors.ts';
import type { EngineDriver } from '../ports/engine.ts';
import type { ExpiryAction, MachineSpec } from './machine.ts';
import type { MachineState } from './states.ts';

/** The time for a machine that was used last at `at`; null when it does not run or has no policy. */
export function idleTime({ idle }: Pick<MachineSpec, 'idle'>, state: MachineState, at: Date): string | null {
  return idle === null || state !== 'running' ? null : timeAfter(at, idle.afterSeconds * 1000);
}

/** Raises `unsupported` for an action of an idle policy, or of the end of a lifetime, that the engine cannot carry out. */
export function requireRestAction(
  action: ExpiryAction | undefined,
  { kind, pause, snapshots }: Pick<EngineDriver, 'kind' | 'pause' | 'snapshots'>,
): void {
  const canPause = pause !== null;
  const canSuspend = canPause && snapshots !== null;
  const cannot = (action === 'pause' && !canPause) || (action === 'suspend' && !canSuspend);
  if (!cannot) return;
  throw new AppError('unsupported', `the engine '${kind}' cannot ${action} machines`, {
    hint: 'Let machines stop instead.',
  });
}
