/** What is handed out by number: one row a value, and for each kind the value handed out last. */
import { type Kysely, sql } from 'kysely';
import { AppError } from '../core/errors.ts';
import type { AllocationRepository, AllocationRequest } from '../core/ports/store.ts';
import type { Access } from './access.ts';
import type { Locks } from './locks.ts';
import { type Database, encodeTime } from './schema.ts';

export function allocationRepository(access: Access): AllocationRepository {
  return {
    take: (request) => access.atomically((db, locks) => take(db, locks, request)),
    release: async (hostId, owner) => {
      await access.atomically((db) =>
        db
          .deleteFrom('allocations')
          .where('host_id', '=', hostId)
          .where('owner_kind', '=', owner.kind)
          .where('owner_id', '=', owner.id)
          .execute(),
      );
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
  // One particular value, as an adopted machine has, says nothing of where to go on.
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

/** The value handed out last; until the transaction ends nobody else takes one of this kind. */
async function lockCursor(
  db: Kysely<Database>,
  locks: Locks,
  { hostId, kind, min, max }: AllocationRequest,
): Promise<number> {
  // At first the order begins after the highest value, which rows of an earlier version may have.
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

/** The lowest value from `from` to `to` that has no owner; null when there is none. */
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
  // The candidates are the first value and each that follows a taken one.
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
