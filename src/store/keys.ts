/** API keys in the database. */
import type { Kysely } from 'kysely';
import type { ApiKey } from '../core/keys/key.ts';
import type { KeyFilter, KeyPage, KeyRepository } from '../core/ports/store.ts';
import { invariant } from '../lib/invariant.ts';
import type { Access } from './access.ts';
import { decodeKey, encodeKey } from './key-row.ts';
import { canHold, checkPage, type Database, encodeTime } from './schema.ts';

export function keyRepository(access: Access): KeyRepository {
  return {
    insert: async (key) => {
      const row = encodeKey(key);
      await access.atomically((db) => db.insertInto('api_keys').values(row).execute());
    },
    get: async (id) => {
      if (!canHold(id)) return null;
      const row = await access.read((db, locks) =>
        locks.rows(db.selectFrom('api_keys').selectAll().where('id', '=', id)).executeTakeFirst(),
      );
      return row === undefined ? null : decodeKey(row);
    },
    withPrefix: (prefix) => withPrefix(access, prefix),
    list: (filter) => list(access, filter),
    countLive: async (tenant) => {
      const { count } = await access.read(async (db, locks) => {
        await locks.name(`api_keys of ${tenant}`);
        return ofTenant(db, tenant)
          .where('revoked_at', 'is', null)
          .select(({ fn }) => fn.countAll<number | string>().as('count'))
          .executeTakeFirstOrThrow();
      });
      return Number(count);
    },
    revoke: async (id, at) => {
      if (!canHold(id)) return false;
      const result = await access.atomically((db) =>
        db
          .updateTable('api_keys')
          .set({ revoked_at: encodeTime(at) })
          .where('id', '=', id)
          .where('revoked_at', 'is', null)
          .executeTakeFirst(),
      );
      return result.numUpdatedRows === 1n;
    },
    noteUse: (id, at) => noteUse(access, id, at),
    pruneRevoked: (tenant, keep) => pruneRevoked(access, tenant, keep),
  };
}

function ofTenant(db: Kysely<Database>, tenant: string) {
  return db.selectFrom('api_keys').where('tenant', '=', tenant);
}

async function withPrefix(access: Access, prefix: string): Promise<readonly ApiKey[]> {
  if (!canHold(prefix)) return [];
  const rows = await access.read((db) =>
    db.selectFrom('api_keys').selectAll().where('prefix', '=', prefix).orderBy('id').execute(),
  );
  return rows.map(decodeKey);
}

async function list(access: Access, filter: KeyFilter): Promise<KeyPage> {
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
  return { keys: rows.map(decodeKey), total };
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

async function pruneRevoked(access: Access, tenant: string, keep: number): Promise<void> {
  invariant(Number.isSafeInteger(keep) && keep >= 0, `not a count: ${keep}`);
  await access.atomically((db) =>
    db
      .deleteFrom('api_keys')
      .where('tenant', '=', tenant)
      .where('revoked_at', 'is not', null)
      .where('id', 'not in', () =>
        ofTenant(db, tenant)
          .select('id')
          .where('revoked_at', 'is not', null)
          .orderBy('revoked_at', 'desc')
          .orderBy('id', 'desc')
          .limit(keep),
      )
      .execute(),
  );
}
