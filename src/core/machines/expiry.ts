/**
 * Carries out the end of a lifetime: deletes the machine, or puts it to rest. Called by the keeper for machines that are due;
 * it calls again for one that is still due. Never ends an operation that somebody else has begun, unless it deletes.
 */
import { AppError } from '../errors.ts';
import type { Store } from '../ports/store.ts';
import type { MachineActions } from './actions.ts';
import { restIntent } from './intents.ts';
import { isInForce, isPast, lifetimeIn } from './lifetime.ts';
import type { ExpiryAction, Machine } from './machine.ts';
import { isTransit } from './states.ts';
import type { Edges } from './steps/context.ts';

export interface ExpiryDeps {
  readonly store: Store;
  readonly edges: Edges;
  readonly actions: Pick<MachineActions, 'act'>;
}

export class Expiry {
  readonly #deps: ExpiryDeps;

  constructor(deps: ExpiryDeps) {
    this.#deps = deps;
  }

  /** Raises `conflict` when the machine has changed since it was read, and the errors of the action. */
  async carryOut(seen: Machine): Promise<void> {
    const { actions, edges } = this.#deps;
    const { id, tenant, state, spec } = seen;
    const { onExpire } = spec;
    // What is under way ends first; its end may be what is wanted.
    if (onExpire !== 'delete' && isTransit(state)) return;
    if (isInForce(onExpire, state)) return this.#note(id);
    const action = actionAt(seen);
    await actions.act({
      action,
      tenant,
      idOrName: id,
      force: action === 'delete',
      check: (machine) => this.#requireDue(machine, onExpire),
      intend: (machine) =>
        action === 'delete' ? { desired: 'deleted' } : restIntent(edges, machine, action),
    });
    edges.log.info({ machine: id, action }, 'lifetime ended');
  }

  /** Its lifetime or its policy may have been changed since the check. */
  #requireDue({ id, expiresAt, spec, state }: Machine, onExpire: ExpiryAction): void {
    const isDue = isPast(expiresAt, this.#deps.edges.clock.now()) && spec.onExpire === onExpire;
    if (isDue && (onExpire === 'delete' || !isTransit(state))) return;
    throw new AppError('conflict', `the lifetime of machine ${id} was changed, or an operation began`);
  }

  /** Nothing has to be done but to record that the lifetime has ended; a restart by policy is not to begin another. */
  async #note(id: string): Promise<void> {
    const { store, edges } = this.#deps;
    await store.transaction(async (tx) => {
      const machine = await tx.machines.get(id);
      const now = edges.clock.now();
      if (!machine || !isPast(machine.expiresAt, now)) return;
      const times = lifetimeIn(machine, machine.state, now);
      if (times.expiresAt !== null) return;
      const restart =
        machine.restartAt === null ? {} : { desired: 'stopped' as const, restartAt: null, restartCount: 0 };
      await tx.machines.patch(id, machine.incarnation, { ...times, ...restart }, now.toISOString());
    });
  }
}

/** A failed machine has nothing to keep, but may leave a VMM, and its policy may restart it: it is stopped. */
function actionAt({ state, spec: { onExpire } }: Machine): ExpiryAction {
  return onExpire !== 'delete' && state === 'failed' ? 'stop' : onExpire;
}
