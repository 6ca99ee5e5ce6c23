/**
 * running or paused → suspending → suspended: saves the guest's memory beside its disk, then ends the VMM. The next
 * start restores it. Undo: the guest goes on, or stays paused, and what was saved is discarded; once the VMM begins to end,
 * the machine stays suspended.
 */

import { AppError } from '../../errors.ts';
import type { MachineNetworks } from '../../network/networks.ts';
import type { StepContext } from '../../operations/definition.ts';
import type { Operation } from '../../operations/operation.ts';
import type { EngineHandle, EngineSnapshots } from '../../ports/engine.ts';
import type { SavedMemory } from '../../ports/saved-memory.ts';
import type { MachinePatch } from '../../ports/store.ts';
import type { Machine } from '../machine.ts';
import { hasBegun, type MachineOperation } from '../subject.ts';
import { type Edges, engineOf, guestFreeMibMin, guestOf } from './context.ts';
import { goOnAgain, standStill } from './pause.ts';
import { endVmmOf } from './stop.ts';

const pauseTimeoutMs = 30_000;
/** A GiB takes a few seconds, on a slow and busy disk minutes. */
const saveTimeoutMs = 15 * 60_000;
const endTimeoutMs = 30_000;

/** The state from which the machine is suspended, and to which an undo returns. */
export interface SuspendParams {
  readonly from: 'running' | 'paused';
}

function originOf({ params }: Operation): SuspendParams['from'] {
  return (params as Partial<SuspendParams>).from ?? 'running';
}

/** From then on the machine is suspended, whatever happens: what is left of its VMM is removed later. */
const endStep = 'end';

export function suspendOperation(edges: Edges, networks: MachineNetworks): MachineOperation {
  const endsIn = (operation: Operation) =>
    hasBegun(operation, endStep) ? ('suspended' as const) : originOf(operation);
  return {
    kind: 'machine.suspend',
    transit: 'suspending',
    steps: [
      {
        name: 'pause',
        isVolatile: true,
        timeoutMs: pauseTimeoutMs,
        async do({ subject: machine, operation, signal }) {
          // The host may have rebooted since the memory was saved.
          if (await isSaved(edges, machine, operation, signal)) return;
          suspendableOf(edges, machine);
          if (originOf(operation) === 'running') await requireFeatures(edges, machine, ['rekey'], signal);
          await standStill(edges, machine, signal);
        },
        async undo(context) {
          if (endsIn(context.operation) !== 'running') return;
          // Once the guest goes on, its saved memory is older than its disk.
          await edges.savedMemories.discard(context.subject.id, context.signal);
          await goOnAgain(edges, context);
        },
      },
      {
        name: 'save',
        timeoutMs: saveTimeoutMs,
        async do({ subject: machine, operation, signal }) {
          const saved: SavedMemory = {
            incarnation: machine.incarnation ?? '',
            operationId: operation.id,
            savedAt: edges.clock.now().toISOString(),
          };
          if (!(await isSaved(edges, machine, operation, signal))) {
            const { snapshots, handle } = suspendableOf(edges, machine);
            await requireSpace(edges, machine, signal);
            const directory = await edges.savedMemories.begin(machine.id, signal);
            await snapshots.save(handle, directory, signal);
            await edges.savedMemories.publish(machine.id, saved, signal);
          }
          return { details: { savedMemory: saved } };
        },
        async undo({ subject: machine, operation, signal }) {
          if (!hasBegun(operation, endStep)) await edges.savedMemories.discard(machine.id, signal);
        },
      },
      {
        name: endStep,
        timeoutMs: endTimeoutMs,
        do: (context) => endVmm(edges, networks, context),
        undo: (context) => endVmm(edges, networks, context),
      },
    ],
    succeeded: 'suspended',
    onSuccess: () => suspended,
    failed: endsIn,
    cancelled: endsIn,
    // The operation reports the failure.
    onUndone: (_, __, operation) => (hasBegun(operation, endStep) ? suspended : { savedMemory: null }),
  };
}

const suspended: MachinePatch = { handle: null, failure: null, desired: 'stopped' };

/** Raises `unsupported` when the machine's engine cannot save memory, `internal` when there is no handle. */
export function suspendableOf(
  edges: Edges,
  machine: Machine,
): { readonly snapshots: EngineSnapshots; readonly handle: EngineHandle } {
  const { snapshots, pause } = engineOf(edges, machine);
  if (!snapshots || !pause) {
    throw new AppError('unsupported', `engine '${machine.spec.engine}' cannot suspend machines`, {
      hint: 'Stop the machine instead.',
    });
  }
  if (!machine.handle)
    throw new AppError('internal', `machine ${machine.id} has no VMM in state ${machine.state}`);
  return { snapshots, handle: machine.handle };
}

/** Whether this operation has saved the memory already. */
async function isSaved(
  edges: Edges,
  machine: Machine,
  { id }: Operation,
  signal: AbortSignal,
): Promise<boolean> {
  const saved = await edges.savedMemories.find(machine.id, signal);
  return saved !== null && saved.incarnation === machine.incarnation && saved.operationId === id;
}

/**
 * Raises `unsupported` if the guest's agent lacks one of them. Without `rekey` a restored guest would keep its link token and could
 * not be reached any more; without `adopt` it could not become another machine.
 */
export async function requireFeatures(
  edges: Edges,
  machine: Machine,
  needed: readonly ('rekey' | 'adopt')[],
  signal: AbortSignal,
): Promise<void> {
  const { features, agentVersion } = await edges.guest.waitReady(guestOf(machine), signal);
  if (needed.every((feature) => features.includes(feature))) return;
  throw new AppError('unsupported', `the guest agent (${agentVersion}) cannot be restored`, {
    hint: 'Restart the machine to give it the current agent.',
  });
}

/** The guest may have used all of its memory. */
export async function requireSpace(edges: Edges, { spec }: Machine, signal: AbortSignal): Promise<void> {
  const freeMib = await edges.disks.freeMib(signal);
  const neededMib = spec.memoryMib + guestFreeMibMin;
  if (freeMib >= neededMib) return;
  throw new AppError(
    'exhausted',
    `the host's disk has no room for the machine's memory: ${freeMib} MiB are free and ${neededMib} may be needed`,
    { hint: 'Free some space in the state directory, or delete machines.', details: { freeMib } },
  );
}

async function endVmm(
  edges: Edges,
  networks: MachineNetworks,
  { subject: machine, signal }: StepContext<Machine>,
): Promise<void> {
  if (!machine.incarnation) return;
  await endVmmOf(edges, machine, signal);
  networks.forget(machine.incarnation);
  await networks.detach(machine.id, signal);
}
