/**
 * paused → resuming → running: resumes the vCPUs, waits for the guest's answer and sets its clock. Undo:
 * pauses a guest that did not answer in time again.
 */

import type { MachineNetworks } from '../../network/networks.ts';
import type { MachineOperation } from '../subject.ts';
import { type Edges, engineOf, requireDiskSpace } from './context.ts';
import { letGoOn, standStill } from './pause.ts';
import { readyStep } from './ready.ts';

const continueTimeoutMs = 30_000;
/** From resuming the vCPUs to the guest's answer: usually milliseconds, seconds on a loaded host. */
const answerTimeoutMs = 60_000;

export function resumeOperation(edges: Edges, networks: MachineNetworks): MachineOperation {
  return {
    kind: 'machine.resume',
    transit: 'resuming',
    steps: [
      {
        name: 'continue',
        isVolatile: true,
        timeoutMs: continueTimeoutMs,
        async do({ subject: machine, signal }) {
          await requireDiskSpace(edges, signal);
          await letGoOn(edges, machine, signal);
        },
        async undo({ subject: machine, signal }) {
          if (!machine.handle) return;
          const { state } = await engineOf(edges, machine).inspect(machine.handle, signal);
          // When its VMM is gone, there is nothing to undo; the exit watcher reports it.
          if (state === 'running' || state === 'paused') await standStill(edges, machine, signal);
        },
      },
      readyStep(edges, networks, answerTimeoutMs, 'resync'),
    ],
    succeeded: 'running',
    onSuccess: () => ({ failure: null }),
    // The machine is unchanged; the operation reports the failed resume.
    failed: 'paused',
    cancelled: 'paused',
    onUndone: () => ({}),
  };
}
