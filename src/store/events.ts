/** Events in the database: written in the transaction of the change, read in commit order. */
import { type Kysely, sql } from 'kysely';
import type { Event, EventPage, EventPosition, EventSubject, EventType } from '../core/events/event.ts';
import type { EventRepository } from '../core/ports/store.ts';
import { invariant } from '../lib/invariant.ts';
import type { Access } from './access.ts';
import { isPostgres } from './dialect.ts';
import { type Database, decodeJson, encodeJson, encodeTime } from './schema.ts';

export function eventRepository(access: Access): EventRepository {
  return {
    after: (position, limit) => access.read((db) => after(db, position, limit)),
    latest: () => access.read(latest),
    prune: (keep) => prune(access, keep),
  };
}

/** For repositories, inside the transaction of the change. */
export async function recordEvent(db: Kysely<Database>, event: Event): Promise<void> {
  const { type, tenant, subject, data, at } = event;
  await db
    .insertInto('events')
    .values({
      type,
      tenant,
      subject_kind: subject.kind,
      subject_id: subject.id,
      data: encodeJson(data),
      at: encodeTime(at),
    })
    .execute();
}

/**
 * PostgreSQL numbers rows before their transactions commit, so a higher number may become visible first.
 * There, the order is by transaction id, and only events older than every open transaction are read: no
 * earlier one can appear any more. SQLite commits one transaction at a time: all ids are 0 and the numbers
 * are in commit order.
 */
function readable(db: Kysely<Database>) {
  return db
    .selectFrom('events')
    .$if(isPostgres(db), (query) =>
      query.where(sql<boolean>`xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint`),
    );
}

async function after(db: Kysely<Database>, position: EventPosition, limit: number): Promise<EventPage> {
  const [xid, seq] = decodePosition(position);
  const rows = await readable(db)
    .selectAll()
    // As one comparison of rows: only then is the index searched instead of read from its beginning.
    .where((eb) => eb(eb.refTuple('xid', 'seq'), '>', eb.tuple(xid, seq)))
    .orderBy('xid')
    .orderBy('seq')
    .limit(limit)
    .execute();
  const last = rows.at(-1);
  return {
    events: rows.map((row) => ({
      type: row.type as EventType,
      tenant: row.tenant,
      subject: { kind: row.subject_kind as EventSubject['kind'], id: row.subject_id },
      data: decodeJson(row.data, 'events.data') as Event['data'],
      at: row.at,
    })),
    position: last === undefined ? position : encodePosition(last),
  };
}

async function latest(db: Kysely<Database>): Promise<EventPosition> {
  const row = await readable(db)
    .select(['xid', 'seq'])
    .orderBy('xid', 'desc')
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst();
  return encodePosition(row ?? { xid: 0, seq: 0 });
}

async function prune(access: Access, keep: number): Promise<void> {
  invariant(Number.isSafeInteger(keep) && keep >= 0, `not a count: ${keep}`);
  await access.atomically((db) =>
    db
      .deleteFrom('events')
      .where('seq', '<=', (eb) =>
        eb.selectFrom('events').select(sql<number>`coalesce(max(seq), 0) - ${sql.lit(keep)}`.as('last')),
      )
      .execute(),
  );
}

/** Both stay below 2^53 for longer than any database lives. */
function encodePosition({ xid, seq }: { readonly xid: number | string; readonly seq: number | string }) {
  return `${xid}.${seq}` as EventPosition;
}

function decodePosition(position: EventPosition): readonly [xid: number, seq: number] {
  const [xid, seq] = position.split('.').map(Number);
  invariant(Number.isSafeInteger(xid) && Number.isSafeInteger(seq), `not a position: ${position}`);
  return [xid as number, seq as number];
}
