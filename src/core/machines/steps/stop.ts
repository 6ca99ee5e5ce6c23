/**
 * stopping → stopped: asks the guest to power off, waits for a grace period, then ends the VMM. A paused
 * guest is resumed first, so that it can write its unsaved data. A stop of a failed machine cleans up; one of a suspended
 * machine gives its memory up.
 */
import { abortable, deadline } from '../../../lib/abort.ts';
import { AppError } from '../../errors.ts';
import type { MachineNetworks } from '../../network/networks.ts';
import type { StepContext } from '../../operations/definition.ts';
import type { EngineHandle } from '../../ports/engine.ts';
import type { Machine } from '../machine.ts';
import type { MachineOperation } from '../subject.ts';
import { type Edges, engineOf } from './context.ts';
import { isPausedOnRequest, letGoOn } from './pause.ts';

/** How long a guest may take to power off after the request. */
export const stopGraceMs = 10_000;
/**
 * The part of the grace period in which the guest kills remaining processes, writes its disks and powers off.
 */
const powerOffMarginMs = 2_000;
const haltTimeoutMs = 30_000;

export function stopOperation(edges: Edges, networks: MachineNetworks): MachineOperation {
  const endVmm = async ({ subject: machine, signal }: StepContext<Machine>) => {
    await endVmmOf(edges, machine, signal);
    await edges.savedMemories.discard(machine.id, signal);
    await networks.detach(machine.id, signal);
  };
  return {
    kind: 'machine.stop',
    transit: 'stopping',
    steps: [
      {
        name: 'shutdown',
        // Even a stop that fails before its first step must leave no running VMM.
        isOwedFromBegin: true,
        timeoutMs: stopGraceMs * 2,
        async do({ subject: machine, signal }) {
          if (machine.handle) await askGuestToPowerOff(edges, machine, machine.handle, signal);
        },
        async undo(context) {
          const { subject: machine, signal } = context;
          if (machine.handle) await askGuestToPowerOff(edges, machine, machine.handle, signal);
          await endVmm(context);
        },
      },
      { name: 'halt', timeoutMs: haltTimeoutMs, do: endVmm, undo: endVmm },
    ],
    succeeded: 'stopped',
    onSuccess: () => ({ handle: null, failure: null, savedMemory: null }),
    failed: 'failed',
    cancelled: 'failed',
    // The undo has discarded it.
    onUndone: (_, failure) => ({ handle: null, failure, savedMemory: null }),
  };
}

/** Ends the VMM at once, if there is one. */
export async function endVmmOf(edges: Edges, machine: Machine, signal: AbortSignal): Promise<void> {
  if (!machine.incarnation) return;
  await edges.guest.release(machine.incarnation);
  const driver = engineOf(edges, machine);
  const handle = machine.handle ?? (await driver.find(machine.incarnation, signal));
  if (handle) await driver.stop(handle, signal);
}

/**
 * Asks the guest to power off and waits for it, at most for the grace period. A guest that does not answer or
 * does not power off is not an error: the VMM is ended next.
 */
export async function askGuestToPowerOff(
  edges: Edges,
  machine: Machine,
  handle: EngineHandle,
  parent: AbortSignal,
): Promise<void> {
  const driver = engineOf(edges, machine);
  const late = () => new AppError('timeout', `the guest did not power off within ${stopGraceMs / 1000} s`);
  const { signal, clear } = deadline(stopGraceMs, late, parent);
  const exited = Promise.withResolvers<void>();
  const stopWatching = driver.onExit(handle, () => exited.resolve());
  try {
    const status = await abortable(driver.inspect(handle, signal), signal);
    if (isPausedOnRequest(status)) await letGoOn(edges, { ...machine, handle }, signal);
    else if (status.state !== 'running') return;
    const target = { machineId: machine.id, incarnation: handle.incarnation, address: handle.guest };
    await Promise.race([
      edges.guest.shutdown(target, stopGraceMs - powerOffMarginMs, signal),
      exited.promise,
    ]);
    await abortable(exited.promise, signal);
  } catch (error) {
    if (parent.aborted) throw error;
    edges.log.info({ machine: machine.id, reason: String(error) }, 'guest did not power off; ending its VMM');
  } finally {
    stopWatching();
    clear();
  }
}
