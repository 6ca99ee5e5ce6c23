/** Hosts in the database, and the epoch of each host's latest daemon. */
import type { Kysely } from 'kysely';
import type { HostClaim, HostRepository } from '../core/ports/store.ts';
import type { Access } from './access.ts';
import { isPostgres } from './dialect.ts';
import { canHold, type Database, encodeTime } from './schema.ts';

/** Far below the limit of parameters per statement. */
const idsAtOnce = 500;

export function hostRepository(access: Access): HostRepository {
  return {
    claim: (claimed) => claim(access, claimed),
    epoch: async (hostId) => {
      if (!canHold(hostId)) return null;
      const row = await access.read((db) =>
        db
          .selectFrom('hosts')
          .select('epoch')
          .where('id', '=', hostId)
          // A claim waits for transactions that have read the epoch; those do not wait for each other.
          .$if(isPostgres(db) && db.isTransaction, (query) => query.forKeyShare())
          .executeTakeFirst(),
      );
      return row?.epoch ?? null;
    },
  };
}

function claim(
  access: Access,
  { hostId, bootIdBefore, epochBefore = 0, unowned = [], at }: HostClaim,
): Promise<number> {
  const claimedAt = encodeTime(at);
  return access.atomically(async (db, locks) => {
    await db
      .insertInto('hosts')
      .values({ id: hostId, epoch: 0, claimed_at: claimedAt })
      .onConflict((conflict) => conflict.column('id').doNothing())
      .execute();
    // A stronger lock than the update's own, so that it waits for transactions that have read the epoch.
    const held = db.selectFrom('hosts').select('epoch').where('id', '=', hostId);
    const before = await locks.rows(held).executeTakeFirstOrThrow();
    const epoch = Math.max(before.epoch, epochBefore) + 1;
    await db.updateTable('hosts').set({ epoch, claimed_at: claimedAt }).where('id', '=', hostId).execute();
    await takeUnowned(db, hostId, unowned);
    await db
      .updateTable('machines')
      .set({ boot_id: bootIdBefore })
      .where('host_id', '=', hostId)
      .where('incarnation', 'is not', null)
      .where('boot_id', 'is', null)
      .execute();
    return epoch;
  });
}

/** Takes machines first; their operations and allocations follow them. */
async function takeUnowned(
  db: Kysely<Database>,
  hostId: string,
  unowned: NonNullable<HostClaim['unowned']>,
): Promise<void> {
  const mine = { host_id: hostId };
  if (unowned === 'all') {
    for (const table of ['machines', 'operations', 'allocations'] as const)
      await db.updateTable(table).set(mine).where('host_id', '=', '').execute();
    return;
  }
  for (let index = 0; index < unowned.length; index += idsAtOnce) {
    const ids = unowned.slice(index, index + idsAtOnce);
    const ofThem = { machines: 'id', allocations: 'owner_id' } as const;
    for (const table of ['machines', 'allocations'] as const)
      await db
        .updateTable(table)
        .set(mine)
        .where('host_id', '=', '')
        .where(ofThem[table], 'in', ids)
        .execute();
    const operations = db
      .selectFrom('operation_subjects')
      .select('operation_id')
      .where('subject_id', 'in', ids);
    await db
      .updateTable('operations')
      .set(mine)
      .where('host_id', '=', '')
      .where('id', 'in', operations)
      .execute();
  }
}
