/**
 * paused → resuming → running: the processors go on, the guest answers and is told the time. A guest that does not answer
 * in time is paused again, as it was found.
 */

import type { MachineOperation } from '../subject.ts';
import { type Edges, engineOf, requireDiskSpace } from './context.ts';
import { letGoOn, standStill } from './pause.ts';
import { readyStep } from './ready.ts';

const continueTimeoutMs = 30_000;
/** From the processors' going on to the guest's answer: milliseconds, seconds on a loaded host. */
const answerTimeoutMs = 60_000;

export function resumeOperation(edges: Edges): MachineOperation {
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
          // Nothing to undo when its VMM is gone: whoever watches it says so.
          if (state === 'running' || state === 'paused') await standStill(edges, machine, signal);
        },
      },
      readyStep(edges, answerTimeoutMs, 'resync'),
    ],
    succeeded: 'running',
    onSuccess: () => ({ failure: null }),
    // It is as it was; that it was not resumed is the operation's to tell.
    failed: 'paused',
    cancelled: 'paused',
    onUndone: () => ({}),
  };
}
