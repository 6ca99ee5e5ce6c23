/**
 * Gives machines an address of the guests' network when theirs is not in it, because the operator has configured
 * another network. Runs when the daemon starts; a guest that runs learns its new address when it is adopted.
 */
import type { Logger } from '../../lib/log.ts';
import type { NetworkFacts } from '../ports/network.ts';
import type { Store } from '../ports/store.ts';
import { offsetOf, parseRange } from './addresses.ts';
import { allocateAddress } from './allocation.ts';

export interface ReaddressDeps {
  readonly store: Store;
  readonly hostId: string;
  readonly facts: NetworkFacts;
  readonly log: Logger;
  readonly now: () => Date;
}

/** Raises `exhausted` when the network is too small. Idempotent. */
export async function readdress({ store, hostId, facts, log, now }: ReaddressDeps): Promise<void> {
  const range = parseRange(facts.ipv4);
  const isOutside = (address: string | null) => address !== null && offsetOf(range, address) === null;
  const outside = (await store.machines.all(hostId)).filter(({ spec }) => isOutside(spec.network.address));
  if (outside.length === 0) return;
  // In one transaction: offsets of the old network must not collide with those of the new one.
  await store.transaction(async (tx) => {
    const at = now().toISOString();
    const owners = outside.map(({ id }) => ({ kind: 'machine' as const, id }));
    for (const owner of owners) await tx.allocations.release(hostId, owner, 'ipv4');
    for (const owner of owners) {
      const machine = await tx.machines.get(owner.id);
      if (machine === null || !isOutside(machine.spec.network.address)) continue;
      const address = await allocateAddress(tx, null, { hostId, owner, at }, facts);
      const spec = { ...machine.spec, network: { ...machine.spec.network, address } };
      await tx.machines.patch(machine.id, machine.incarnation, { spec }, at);
    }
  });
  log.info({ machines: outside.map(({ id }) => id), network: facts.ipv4 }, 'machines got new addresses');
}
