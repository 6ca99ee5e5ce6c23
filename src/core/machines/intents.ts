/** What is written to a machine when an operation on it begins, and the checks before that. */
import { shortId } from '../../lib/ids.ts';
import type { Limiter } from '../../lib/limiter.ts';
import { AppError } from '../errors.ts';
import type { MachinePatch } from '../ports/store.ts';
import type { DesiredState, IdleAction, Machine } from './machine.ts';
import { type Edges, engineOf, lookTimeoutMs } from './steps/context.ts';
import { pausableOf } from './steps/pause.ts';
import { type SuspendParams, suspendableOf } from './steps/suspend.ts';

export interface Intent {
  readonly desired: DesiredState;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly patch?: MachinePatch;
}

/** The intent of a start or restart: a new incarnation, and the previous one, which the steps will clear. */
export function nextBoot(machine: Machine, bootId: string): Intent {
  return {
    desired: 'running',
    params: {
      previousIncarnation: machine.incarnation,
      previousHandle: machine.handle,
      isFork: (machine.savedMemory?.machineId ?? machine.id) !== machine.id,
    },
    patch: { incarnation: shortId(), bootId, handle: null, failure: null },
  };
}

/** The intent of a suspend. Raises `unsupported` when the engine cannot save memory. */
export function suspendIntent(edges: Edges, machine: Machine): Intent {
  suspendableOf(edges, machine);
  const from = machine.state === 'paused' ? 'paused' : 'running';
  return { desired: 'running', params: { from } satisfies SuspendParams };
}

/** The intent of an action that the host takes by itself. Raises `unsupported` when the engine cannot pause or save memory. */
export function restIntent(edges: Edges, machine: Machine, action: IdleAction): Intent {
  if (action === 'suspend') return suspendIntent(edges, machine);
  if (action === 'pause') pausableOf(edges, machine);
  return { desired: action === 'pause' ? 'running' : 'stopped' };
}

/** Raises `unsupported` when the machine has less memory than its image or engine needs. */
export async function requireBootable(edges: Edges, machine: Machine): Promise<void> {
  const image = await edges.images.find(machine.imageDigest, AbortSignal.timeout(lookTimeoutMs));
  const memoryMibMin = Math.max(image?.memoryMibMin ?? 0, engineOf(edges, machine).capabilities.memoryMibMin);
  if (machine.spec.memoryMib >= memoryMibMin) return;
  throw new AppError(
    'unsupported',
    `image '${machine.spec.image}' cannot boot in ${machine.spec.memoryMib} MiB of memory; it needs ${memoryMibMin}`,
    { hint: 'Delete the machine and create it with more memory.' },
  );
}

/** Raises `exhausted` when the start queue is full. */
export function requireTurn(limiter: Limiter): void {
  if (!limiter.isFull) return;
  throw new AppError('exhausted', 'too many machines are waiting to start', {
    hint: 'Try again in a minute.',
  });
}
