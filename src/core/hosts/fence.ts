/**
 * A fenced store: each transaction first checks that the host still belongs to this daemon. A daemon that was
 * replaced without knowing it can therefore write nothing more.
 */
import { AppError } from '../errors.ts';
import type { Owner } from '../operations/operation.ts';
import type { Store } from '../ports/store.ts';

/** `transaction` raises `unavailable` once another daemon has claimed the host. */
export function fencedStore(store: Store, { hostId, epoch }: Pick<Owner, 'hostId' | 'epoch'>): Store {
  return {
    ...store,
    transaction: (work) =>
      store.transaction(async (tx) => {
        if ((await tx.hosts.epoch(hostId)) === epoch) return work(tx);
        throw new AppError('unavailable', 'another daemon has taken over this host', {
          hint: 'Stop this daemon; only one may run on a state directory.',
        });
      }),
  };
}
