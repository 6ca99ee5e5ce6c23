/** Finding a machine for a use case, and saying why it cannot have what it asks for. */
import { AppError } from '../errors.ts';
import type { Repositories } from '../ports/store.ts';
import type { Machine } from './machine.ts';
import { isTransit, type MachineAction } from './states.ts';

/** By id, else by name; raises `not_found`. */
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

/** The state forbids the action; a dialect says it in its own words from `details`. */
export function stateConflict(action: MachineAction, machine: Machine): AppError {
  return new AppError('conflict', `cannot ${action} a machine that is ${machine.state}`, {
    details: { action, state: machine.state },
    ...(isTransit(machine.state) ? { hint: `It is ${machine.state}; try again in a moment.` } : {}),
  });
}
