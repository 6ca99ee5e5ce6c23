/** Finds a machine for a use case, and builds the error when its state forbids an action. */
import { AppError } from '../errors.ts';
import type { Repositories } from '../ports/store.ts';
import type { Machine } from './machine.ts';
import { decide, isSoonAccepted, type MachineAction } from './states.ts';

/** By id, else by name. Raises `not_found`. */
export async function findMachine(
  repositories: Repositories,
  tenant: string,
  idOrName: string,
): Promise<Machine> {
  const machine = await repositories.machines.find(tenant, idOrName);
  if (machine) return machine;
  throw new AppError('not_found', `Machine with id '${idOrName}' not found`, {
    details: { machine: idOrName },
  });
}

/** The error when the state forbids an action; a dialect writes its own text from `details`. */
export function stateConflict(action: MachineAction, machine: Machine): AppError {
  const { state } = machine;
  const hint = hintOf(action, machine);
  return new AppError('conflict', `cannot ${action} a machine that is ${state}`, {
    details: { action, state },
    isPassing: isSoonAccepted(action, state),
    ...(hint === null ? {} : { hint }),
  });
}

function hintOf(action: MachineAction, { state }: Machine): string | null {
  if (isSoonAccepted(action, state)) return `It is ${state}; try again in a moment.`;
  if (action === 'delete' && decide(action, state, true).verdict !== 'deny')
    return 'Stop the machine first, or delete it with force.';
  if (action === 'update' && state !== 'deleting')
    return 'Stop the machine to change its processors, memory or disk.';
  return null;
}
