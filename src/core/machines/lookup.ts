/** Finds a machine for a use case, and builds the error when its state forbids an action. */
import { requestContext } from '../../lib/request-context.ts';
import { AppError } from '../errors.ts';
import type { Repositories } from '../ports/store.ts';
import type { Machine } from './machine.ts';
import { decide, isSoonAccepted, isTransit, type MachineAction, type MachineState } from './states.ts';

/** An id as dialects write it: `vm_k3v9x2m1q8zt` or `vm-k3v9x2m1q8zt`. */
const prefixedId = /^vm[-_]([a-z0-9]{12})$/;

/** By an id, bare or with the prefix of a dialect, else by name; no name looks like such an id. */
export async function lookUpMachine(
  repositories: Repositories,
  tenant: string,
  text: string,
): Promise<Machine | null> {
  const machine = await repositories.machines.find(tenant, idOrNameIn(text));
  const context = requestContext();
  if (context !== null && machine !== null) context.machine = machine.id;
  return machine;
}

/** The id or name that `text` means: without a dialect's prefix. */
export function idOrNameIn(text: string): string {
  return prefixedId.exec(text)?.[1] ?? text;
}

/** As `lookUpMachine`. Raises `not_found`. */
export async function findMachine(
  repositories: Repositories,
  tenant: string,
  idOrName: string,
): Promise<Machine> {
  const machine = await lookUpMachine(repositories, tenant, idOrName);
  if (machine) return machine;
  throw machineNotFound(idOrName);
}

/** The error for a machine that is not there, or another tenant's; `text` is what the caller called it. */
export function machineNotFound(text: string): AppError {
  return new AppError('not_found', `Machine with id '${text}' not found`, {
    details: { machine: text },
    hint: 'flotilla ls shows your machines.',
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

/** Null where only a dialect forbids the action. */
function hintOf(action: MachineAction, { state }: Machine): string | null {
  if (isSoonAccepted(action, state)) return `It is ${doing(state)}; try again in a moment.`;
  if (state === 'deleting' || state === 'deleted') return 'It is being deleted; create another machine.';
  const { verdict } = decide(action, state);
  if (verdict === 'accept' || verdict === 'cancel') return null;
  if (verdict === 'ignore')
    return isTransit(state)
      ? `It is ${doing(state)} already.`
      : `Nothing needs to be done: it is ${state === 'created' ? 'not started' : state}.`;
  if (state === 'suspended' && action === 'stop')
    return 'Its saved memory would be lost. Start it first, or stop it with force.';
  if (action === 'delete') return 'Stop the machine first, or delete it with force.';
  if (action === 'update')
    return state === 'suspended'
      ? 'Its saved memory fits the hardware that it has. Start it and stop it first.'
      : 'Stop the machine to change its processors, memory or disk.';
  if (state === 'paused') return action === 'start' ? 'Resume it instead.' : 'Resume it first.';
  if (isTransit(state)) return `It is ${doing(state)}; wait until that has ended.`;
  if (action === 'snapshot') return 'Stop it first.';
  return ['pause', 'suspend', 'exec'].includes(action) ? 'Start it first.' : 'Start it instead.';
}

/** The state as it stands in a sentence: a machine is created by its operation, but starts by itself. */
function doing(state: MachineState): string {
  return state === 'creating' ? 'being created' : state;
}
