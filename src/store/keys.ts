/** API keys in the database. */
import type { ExpressionBuilder, Kysely } from 'kysely';
import type { Event, EventType } from '../core/events/event.ts';
import type { ApiKey } from '../core/keys/key.ts';
import type { KeyFilter, KeyPage, KeyRepository } from '../core/ports/store.ts';
import { invariant } from '../lib/invariant.ts';
import type { Access } from './access.ts';
import { type Damage, decodeOne } from './damage.ts';
import { recordEvent } from './events.ts';
import { decodeKey, encodeKey } from './key-row.ts';
import { canHold, checkPage, type Database, encodeTime, type KeyTable } from './schema.ts';

export function keyRepository(access: Access, damage: Damage): KeyRepository {
  return {
    insert: async (key) => {
      const row = encodeKey(key);
      await access.atomically(async (db) => {
        await db.insertInto('api_keys').values(row).execute();
        await recordEvent(db, eventOf(row, 'key.created', key.createdAt));
      });
    },
    get: async (id) => {
      if (!canHold(id)) return null;
      const row = await access.read((db, locks) =>
        locks.rows(db.selectFrom('api_keys').selectAll().where('id', '=', id)).executeTakeFirst(),
      );
      return row === undefined ? null : decodeOne('key', row, decodeKey);
    },
    withPrefix: (prefix) => withPrefix(access, damage, prefix),
    list: (filter) => list(access, damage, filter),
    countLive: (tenant, at) => countLive(access, tenant, at),
    revoke: (id, at) => (canHold(id) ? revoke(access, id, at) : Promise.resolve([])),
    noteUse: (id, at) => noteUse(access, id, at),
    pruneEnded: (tenant, at, keep) => pruneEnded(access, tenant, at, keep),
  };
}

/** Contains neither the secret nor its hash or prefix. */
function eventOf({ id, tenant, name, created_by }: KeyTable, type: EventType, at: string): Event {
  return { type, tenant, subject: { kind: 'key', id }, data: { name, createdBy: created_by }, at };
}

function ofTenant(db: Kysely<Database>, tenant: string) {
  return db.selectFrom('api_keys').where('tenant', '=', tenant);
}

async function withPrefix(access: Access, damage: Damage, prefix: string): Promise<readonly ApiKey[]> {
  if (!canHold(prefix)) return [];
  const rows = await access.read((db) =>
    db.selectFrom('api_keys').selectAll().where('prefix', '=', prefix).orderBy('id').execute(),
  );
  return damage.readable('key', rows, decodeKey);
}

async function list(access: Access, damage: Damage, filter: KeyFilter): Promise<KeyPage> {
  const { tenant, limit, offset } = filter;
  checkPage(filter);
  const { rows, total } = await access.snapshot(async (db) => {
    const matching = tenant === undefined ? db.selectFrom('api_keys') : ofTenant(db, tenant);
    const counted = await matching
      .select(({ fn }) => fn.countAll<number | string>().as('total'))
      .executeTakeFirstOrThrow();
    const page = await matching
      .selectAll()
      .orderBy('created_at', 'desc')
      .orderBy('id', 'desc')
      .limit(limit)
      .offset(offset)
      .execute();
    return { rows: page, total: Number(counted.total) };
  });
  return { keys: damage.readable('key', rows, decodeKey), total };
}

async function noteUse(access: Access, id: string, at: string): Promise<void> {
  const time = encodeTime(at);
  await access.atomically((db) =>
    db
      .updateTable('api_keys')
      .set({ last_used_at: time })
      .where('id', '=', id)
      .where((eb) => eb.or([eb('last_used_at', 'is', null), eb('last_used_at', '<', time)]))
      .execute(),
  );
}

async function countLive(access: Access, tenant: string, at: string): Promise<number> {
  const time = encodeTime(at);
  const { count } = await access.read(async (db, locks) => {
    await locks.name(`api_keys of ${tenant}`);
    return ofTenant(db, tenant)
      .where('revoked_at', 'is', null)
      .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', time)]))
      .select(({ fn }) => fn.countAll<number | string>().as('count'))
      .executeTakeFirstOrThrow();
  });
  return Number(count);
}

/**
 * Revokes one generation after another. A key that is being made concurrently is either committed before its
 * maker's row is changed here, and found in the next round, or finds its maker revoked.
 */
async function revoke(access: Access, id: string, at: string): Promise<readonly string[]> {
  const time = encodeTime(at);
  return access.atomically(async (db) => {
    const revoked: string[] = [];
    const seen = new Set([id]);
    for (let makers: readonly string[] = [id]; makers.length > 0; ) {
      for (const maker of makers) {
        const row = await db
          .updateTable('api_keys')
          .set({ revoked_at: time })
          .where('id', '=', maker)
          .where('revoked_at', 'is', null)
          .returningAll()
          .executeTakeFirst();
        if (row === undefined) continue;
        revoked.push(maker);
        await recordEvent(db, eventOf(row, 'key.revoked', at));
      }
      const made = await db.selectFrom('api_keys').select('id').where('created_by', 'in', makers).execute();
      makers = made.map((row) => row.id).filter((each) => !seen.has(each));
      for (const each of makers) seen.add(each);
    }
    return revoked;
  });
}

async function pruneEnded(access: Access, tenant: string, at: string, keep: number): Promise<void> {
  invariant(Number.isSafeInteger(keep) && keep >= 0, `not a count: ${keep}`);
  const time = encodeTime(at);
  const ended = (eb: ExpressionBuilder<Database, 'api_keys'>) =>
    eb.or([eb('revoked_at', 'is not', null), eb('expires_at', '<=', time)]);
  await access.atomically((db) =>
    db
      .deleteFrom('api_keys')
      .where('tenant', '=', tenant)
      .where(ended)
      .where('id', 'not in', () =>
        ofTenant(db, tenant)
          .select('id')
          .where(ended)
          .orderBy((eb) => eb.fn.coalesce('revoked_at', 'expires_at'), 'desc')
          .orderBy('id', 'desc')
          .limit(keep),
      )
      .execute(),
  );
}
