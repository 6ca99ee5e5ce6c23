/** Finds a running machine and its guest, for everything that the guest agent does for a tenant: commands, files, connections. */
import type { GuestTarget } from '../ports/guest.ts';
import type { Store } from '../ports/store.ts';
import type { Activity } from './activity.ts';
import { findMachine, machineNotFound, stateConflict } from './lookup.ts';
import type { Machine } from './machine.ts';
import type { MachineOperations } from './machine-operations.ts';
import { decide } from './states.ts';
import { guestOf } from './steps/context.ts';

export interface AnsweringDeps {
  readonly store: Store;
  readonly machineOperations: Pick<MachineOperations, 'requireHere'>;
  readonly activity: Activity;
}

export interface AnsweringMachine {
  readonly machine: Machine;
  readonly target: GuestTarget;
}

/** Notes the machine's use. Raises `not_found`, `conflict` when the machine does not run, and what `requireHere` raises. */
export async function findAnswering(
  deps: AnsweringDeps,
  tenant: string,
  idOrName: string,
): Promise<AnsweringMachine> {
  const found = await findMachine(deps.store, tenant, idOrName);
  deps.machineOperations.requireHere(found);
  return findAnsweringById(deps, found.id);
}

/** For a machine of this host that the caller knows, whoever owns it. Raises `not_found`, `conflict`. */
export async function findAnsweringById(
  { store, activity }: Pick<AnsweringDeps, 'store' | 'activity'>,
  machineId: string,
): Promise<AnsweringMachine> {
  // Noted before its state is read; see Activity.
  activity.touch(machineId);
  await activity.resting(machineId);
  const machine = await store.machines.get(machineId);
  if (machine === null) throw machineNotFound(machineId);
  if (decide('exec', machine.state).verdict !== 'accept') throw stateConflict('exec', machine);
  return { machine, target: guestOf(machine) };
}
