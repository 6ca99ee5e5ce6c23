/**
 * The only writer of a machine's state. Every change is a compare-and-set in the caller's transaction: it
 * applies only if nobody has changed the machine since it was read, and only along a transition of
 * `states.ts`.
 */
import { invariant } from '../../lib/invariant.ts';
import { AppError } from '../errors.ts';
import type { MachinePatch, Repositories } from '../ports/store.ts';
import { idleTime } from './idle-policy.ts';
import { lifetimeIn } from './lifetime.ts';
import type { Machine } from './machine.ts';
import { isTransit, type MachineState, statesWithoutHandle, transitions } from './states.ts';

/**
 * Moves `machine` to `to` and applies `patch`; returns the changed machine. Raises `conflict` when the
 * machine has changed since it was read. Moving to `deleted` removes the row.
 */
export async function transition(
  tx: Repositories,
  machine: Machine,
  to: MachineState,
  patch: MachinePatch,
  at: Date,
): Promise<Machine> {
  invariant(
    transitions[machine.state].includes(to),
    `${machine.state} → ${to} is no transition (${machine.id})`,
  );
  const updatedAt = at.toISOString();
  const revision = machine.revision + 1;
  // Any transition cancels a pending restart, unless the patch requests one. A machine that begins to run counts as used.
  const idleAt = idleTime(machine.spec, to, at);
  // A lifetime may have ended in the state that the machine leaves, before anybody has looked.
  const lifetime = lifetimeIn({ ...machine, ...lifetimeIn(machine, machine.state, at) }, to, at);
  const changes: MachinePatch = { restartAt: null, idleAt, ...lifetime, ...patch };
  const next: Machine = { ...machine, ...changes, state: to, revision, updatedAt };
  invariant(
    isTransit(to) === (next.operationId !== null),
    `${to} and operation ${next.operationId} (${machine.id})`,
  );
  invariant(
    to !== 'starting' || (next.incarnation !== null && next.incarnation !== machine.incarnation),
    `starting without a new incarnation (${machine.id})`,
  );
  invariant(next.handle === null || !statesWithoutHandle.includes(to), `${to} with a handle (${machine.id})`);
  const done = await tx.machines.compareAndSet({
    id: machine.id,
    from: machine.state,
    fromOperationId: machine.operationId,
    to,
    patch: changes,
    at: updatedAt,
  });
  if (!done) {
    throw new AppError('conflict', `another request changed machine ${machine.id} at the same time`, {
      hint: 'Read the machine again and repeat the request.',
    });
  }
  if (to === 'deleted') await tx.machines.remove(machine.id, updatedAt);
  return next;
}
