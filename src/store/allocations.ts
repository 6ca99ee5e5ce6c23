/**
 * Allocates numbers, such as user ids of VMMs: one row per value in use, and per kind the value allocated
 * last.
 */
import { type Kysely, sql } from 'kysely';
import { AppError } from '../core/errors.ts';
import type { AllocationRepository, AllocationRequest } from '../core/ports/store.ts';
import type { Access } from './access.ts';
import type { Locks } from './locks.ts';
import { type Database, encodeTime } from './schema.ts';

export function allocationRepository(access: Access): AllocationRepository {
  return {
    take: (request) => access.atomically((db, locks) => take(db, locks, request)),
    release: async (hostId, owner, kind, value) => {
      await access.atomically((db) => {
        const owned = db
          .deleteFrom('allocations')
          .where('host_id', '=', hostId)
          .where('owner_kind', '=', owner.kind)
          .where('owner_id', '=', owner.id);
        const ofKind = kind === undefined ? owned : owned.where('kind', '=', kind);
        return (value === undefined ? ofKind : ofKind.where('value', '=', value)).execute();
      });
    },
  };
}

async function take(db: Kysely<Database>, locks: Locks, request: AllocationRequest): Promise<number> {
  const { hostId, kind, owner, min, max, at } = request;
  const latest = await lockCursor(db, locks, request);
  const value =
    (await firstFree(db, request, latest + 1, max)) ?? (await firstFree(db, request, min, latest));
  if (value === null) {
    throw new AppError('exhausted', `all ${max - min + 1} values of ${kind} on this host are taken`, {
      hint: 'Delete machines that are no longer used.',
    });
  }
  const owned = { owner_kind: owner.kind, owner_id: owner.id, created_at: encodeTime(at) };
  await db
    .insertInto('allocations')
    .values({ host_id: hostId, kind, value, ...owned })
    .execute();
  // A range of one value, used for adopted machines, does not move the cursor.
  if (min < max) {
    await db
      .updateTable('allocation_cursors')
      .set({ latest: value })
      .where('host_id', '=', hostId)
      .where('kind', '=', kind)
      .execute();
  }
  return value;
}

/** The value allocated last. Locks the cursor of this kind until the transaction ends. */
async function lockCursor(
  db: Kysely<Database>,
  locks: Locks,
  { hostId, kind, min, max }: AllocationRequest,
): Promise<number> {
  // Without a cursor, start after the highest value; rows of an earlier version may exist.
  const highest = db
    .selectFrom('allocations')
    .select(({ fn }) => sql<number>`coalesce(${fn.max('value')}, cast(${min - 1} as integer))`.as('latest'))
    .where('host_id', '=', hostId)
    .where('kind', '=', kind);
  await db
    .insertInto('allocation_cursors')
    .values({ host_id: hostId, kind, latest: highest })
    .onConflict((conflict) => conflict.columns(['host_id', 'kind']).doNothing())
    .execute();
  const cursor = db
    .selectFrom('allocation_cursors')
    .select('latest')
    .where('host_id', '=', hostId)
    .where('kind', '=', kind);
  const { latest } = await locks.rows(cursor).executeTakeFirstOrThrow();
  return Math.min(Math.max(latest, min - 1), max);
}

/** The lowest free value between `from` and `to`; null when all are taken. */
async function firstFree(
  db: Kysely<Database>,
  { hostId, kind }: AllocationRequest,
  from: number,
  to: number,
): Promise<number | null> {
  if (from > to) return null;
  const taken = db
    .selectFrom('allocations')
    .select('value')
    .where('host_id', '=', hostId)
    .where('kind', '=', kind)
    .where('value', '>=', from)
    .where('value', '<=', to);
  // The candidates are the first value and the successors of taken values.
  const candidates = db
    .selectNoFrom(sql<number>`cast(${from} as integer)`.as('value'))
    .unionAll(taken.clearSelect().select(sql<number>`value + 1`.as('value')));
  const { value } = await db
    .selectFrom(candidates.as('candidate'))
    .select(({ fn }) => fn.min<number | null>('candidate.value').as('value'))
    .where('candidate.value', '<=', to)
    .where('candidate.value', 'not in', taken)
    .executeTakeFirstOrThrow();
  return value;
}
