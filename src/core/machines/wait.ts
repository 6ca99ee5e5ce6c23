/** Waits for a machine to reach a state, notified by the event bus instead of polling. */
import { abortable, deadline } from '../../lib/abort.ts';
import { AppError } from '../errors.ts';
import type { EventBus } from '../events/bus.ts';
import type { Store } from '../ports/store.ts';
import { machineNotFound } from './lookup.ts';
import type { Machine } from './machine.ts';
import type { MachineState } from './states.ts';

export interface WaitRequest {
  readonly machineId: string;
  readonly states: readonly MachineState[];
  readonly timeoutMs: number;
}

/**
 * Resolves with the machine once it is in one of the states. Raises `timeout`; `not_found` when it is deleted
 * meanwhile; `conflict` as soon as it fails, unless `failed` was requested or its restart policy starts it again.
 */
export async function waitForState(
  store: Store,
  bus: EventBus,
  request: WaitRequest,
  parent: AbortSignal,
): Promise<Machine> {
  const { machineId, states, timeoutMs } = request;
  const late = () =>
    new AppError(
      'timeout',
      `machine ${machineId} did not reach ${states.join(' or ')} within ${timeoutMs / 1000} s`,
    );
  const { signal, clear } = deadline(timeoutMs, late, parent);
  let wake = Promise.withResolvers<void>();
  const unsubscribe = bus.subscribe(machineId, () => wake.resolve());
  try {
    for (;;) {
      const machine = await store.machines.get(machineId);
      if (!machine) throw machineNotFound(machineId);
      if (states.includes(machine.state)) return machine;
      if (machine.state === 'failed' && machine.restartAt === null) {
        throw new AppError(
          'conflict',
          `machine ${machineId} has failed: ${machine.failure?.message ?? 'no reason'}`,
          {
            details: { action: 'wait', state: machine.state },
            hint: 'Start it again with flotilla start; flotilla logs shows its console.',
          },
        );
      }
      await abortable(wake.promise, signal);
      wake = Promise.withResolvers<void>();
    }
  } finally {
    unsubscribe();
    clear();
  }
}
