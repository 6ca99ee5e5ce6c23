/**
 * The invariants of every stored machine, checked when one is written or read. Pure: returns one line per
 * violated rule, or an empty list. A violation is a bug, never a user's error.
 */
import { statesWithRemaining } from './lifetime.ts';
import type { Machine } from './machine.ts';
import { isTransit, type MachineState, statesWithoutHandle, transitions } from './states.ts';

/** States that only a machine with a VMM can be in. */
const statesWithHandle: readonly MachineState[] = ['pausing', 'paused', 'resuming'];

/** States from which a restart policy starts a machine. */
const statesToRestart: readonly MachineState[] = ['stopped', 'failed'];

/** States in which the machine's memory may be saved beside its disk. */
const statesWithSavedMemory: readonly MachineState[] = [
  'creating',
  'suspending',
  'suspended',
  'starting',
  'stopping',
  'deleting',
  'failed',
];

/** Invariants of a single machine. */
export function checkMachine(machine: Machine): readonly string[] {
  const { state, operationId, handle, incarnation } = machine;
  const broken: string[] = [];
  if (isTransit(state) && operationId === null) broken.push(`${state} without an operation`);
  if (!isTransit(state) && operationId !== null) broken.push(`${state} with an operation`);
  if (state === 'starting' && incarnation === null) broken.push('starting without an incarnation');
  if (handle === null && statesWithHandle.includes(state)) broken.push(`${state} without an engine handle`);
  if (handle !== null) {
    if (statesWithoutHandle.includes(state)) broken.push(`${state} with an engine handle`);
    if (handle.incarnation !== incarnation) broken.push('an engine handle of another incarnation');
  }
  if (machine.savedMemory !== null && !statesWithSavedMemory.includes(state))
    broken.push(`${state} with saved memory`);
  if (machine.restartAt !== null && (!statesToRestart.includes(state) || machine.desired !== 'running'))
    broken.push(`${state}, to be ${machine.desired}, with a restart to come`);
  if (machine.idleAt !== null && (state !== 'running' || machine.spec.idle === null))
    broken.push(`${state}, with an idle time ${machine.spec.idle === null ? 'and no idle policy' : ''}`);
  if (machine.expiresAt !== null && machine.remainingMs !== null)
    broken.push('a lifetime that runs and stands still');
  if (machine.remainingMs !== null && !statesWithRemaining.includes(state))
    broken.push(`${state} with a lifetime that stands still`);
  if (machine.spec.userData !== null && machine.provisioning === null)
    broken.push('user data without its outcome');
  const { network } = machine.spec;
  if ((network.mode === 'nat') !== (network.address !== null))
    broken.push('a network without an address, or the other way round');
  if ((network.mode === 'bridge') !== (network.lan !== null))
    broken.push('a bridge without a place on it, or the other way round');
  if (network.mode !== 'nat' && network.ports.length > 0) broken.push('ports without a network');
  if (!Number.isSafeInteger(machine.slot) || machine.slot < 1) broken.push('a slot below 1');
  if (!Number.isSafeInteger(machine.revision) || machine.revision < 0) broken.push('a revision below 0');
  return broken;
}

/**
 * Invariants of a state change: it follows the table, and the incarnation changes if and only if it enters
 * `starting`.
 */
export function checkChange(before: Machine, after: Machine): readonly string[] {
  const broken: string[] = [];
  if (!transitions[before.state].includes(after.state))
    broken.push(`${before.state} does not lead to ${after.state}`);
  const isNewIncarnation = before.incarnation !== after.incarnation;
  if (after.state === 'starting' && !isNewIncarnation) broken.push('starting with the old incarnation');
  if (after.state !== 'starting' && isNewIncarnation)
    broken.push(`a new incarnation on entering ${after.state}`);
  return broken;
}
