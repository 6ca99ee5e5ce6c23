/** Environments in the database. Their machines are rows of their own, which name the environment. */
import type { Kysely } from 'kysely';
import { z } from 'zod';
import {
  type Environment,
  type EnvironmentPatch,
  environmentIdPattern,
  environmentStates,
  environmentSubject,
} from '../core/environments/environment.ts';
import { AppError } from '../core/errors.ts';
import type { EventType } from '../core/events/event.ts';
import type {
  EnvironmentFilter,
  EnvironmentKey,
  EnvironmentPage,
  EnvironmentRepository,
} from '../core/ports/store.ts';
import { invariant } from '../lib/invariant.ts';
import type { Access } from './access.ts';
import { type Damage, decodeOne } from './damage.ts';
import { DuplicateError } from './database.ts';
import { recordEvent } from './events.ts';
import type { Locks } from './locks.ts';
import {
  canHold,
  checkPage,
  type Database,
  decodeJson,
  type EnvironmentTable,
  encodeJson,
  encodeNullableTime,
  encodeTime,
} from './schema.ts';
import { validate } from './validate.ts';

export function environmentRepository(access: Access, damage: Damage): EnvironmentRepository {
  return {
    insert: (environment) => insert(access, environment),
    get: async (key) => {
      const row = await access.read((db, locks) => select(db, locks, key));
      return row === undefined ? null : decodeOne('environment', row, decode);
    },
    list: (filter) => list(access, damage, filter),
    count: async (hostId) => {
      const { count } = await access.read((db) =>
        db
          .selectFrom('environments')
          .select(({ fn }) => fn.countAll<number | string>().as('count'))
          .where('host_id', '=', hostId)
          .executeTakeFirstOrThrow(),
      );
      return Number(count);
    },
    due: async (hostId, at, limit) =>
      damage.readable('environment', await dueRows(access, hostId, at, limit), decode),
    patch: (key, patch, at) => update(access, key, patch, at),
    remove: (key, at) => remove(access, key, at),
  };
}

const environment: z.ZodType<Environment> = z
  .strictObject({
    id: z.string().regex(environmentIdPattern),
    tenant: z.string(),
    hostId: z.string(),
    owner: z.string(),
    state: z.enum(environmentStates),
    warnings: z.array(z.string()),
    expiresAt: z.string().nullable(),
    remainingMs: z.number().min(0).nullable(),
    createdAt: z.string(),
    updatedAt: z.string(),
  })
  .refine(({ state, expiresAt }) => (state === 'active') === (expiresAt !== null), 'active and its lifetime')
  .refine(
    ({ state, remainingMs }) => (state === 'stopped') === (remainingMs !== null),
    'stopped and the rest',
  );

function encode(value: Environment): EnvironmentTable {
  const checked = validate(environment, value, `environment ${value.id}`);
  return {
    tenant: checked.tenant,
    id: checked.id,
    host_id: checked.hostId,
    owner: encodeJson(checked.owner),
    state: checked.state,
    warnings: encodeJson(checked.warnings),
    expires_at: encodeNullableTime(checked.expiresAt),
    remaining_ms: checked.remainingMs === null ? null : Math.round(checked.remainingMs),
    created_at: encodeTime(checked.createdAt),
    updated_at: encodeTime(checked.updatedAt),
  };
}

function decode(row: EnvironmentTable): Environment {
  const value = {
    id: row.id,
    tenant: row.tenant,
    hostId: row.host_id,
    owner: decodeJson(row.owner, 'environments.owner'),
    state: row.state,
    warnings: decodeJson(row.warnings, 'environments.warnings'),
    expiresAt: row.expires_at,
    // PostgreSQL's driver gives a bigint as text.
    remainingMs: row.remaining_ms === null ? null : Number(row.remaining_ms),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
  return validate(environment, value, `environment ${row.id}`);
}

async function insert(access: Access, value: Environment): Promise<void> {
  const row = encode(value);
  try {
    await access.atomically(async (db) => {
      await db.insertInto('environments').values(row).execute();
      await record(db, value, 'environment.created', value.createdAt);
    });
  } catch (error) {
    if (!(error instanceof DuplicateError)) throw error;
    throw new AppError('conflict', `environment '${value.id}' already exists`, {
      cause: error,
      details: { environment: value.id },
    });
  }
}

async function list(access: Access, damage: Damage, filter: EnvironmentFilter): Promise<EnvironmentPage> {
  const { tenant, owner, limit, offset } = filter;
  checkPage(filter);
  const { rows, total } = await access.snapshot(async (db) => {
    const matching = db
      .selectFrom('environments')
      .where('tenant', '=', tenant)
      .$if(owner !== undefined, (all) => all.where('owner', '=', encodeJson(owner)));
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
  return { environments: damage.readable('environment', rows, decode), total };
}

function dueRows(access: Access, hostId: string, at: string, limit: number) {
  const time = encodeTime(at);
  return access.read((db) =>
    db
      .selectFrom('environments')
      .selectAll()
      .where('host_id', '=', hostId)
      .where('expires_at', '<=', time)
      .orderBy('expires_at')
      .limit(limit)
      .execute(),
  );
}

function update(
  access: Access,
  key: EnvironmentKey,
  patch: EnvironmentPatch,
  at: string,
): Promise<Environment | null> {
  return access.atomically(async (db, locks) => {
    const row = await select(db, locks, key);
    if (row === undefined) return null;
    const after = { ...decodeOne('environment', row, decode), ...patch, updatedAt: at };
    const result = await db
      .updateTable('environments')
      .set(encode(after))
      .where('tenant', '=', key.tenant)
      .where('id', '=', key.id)
      .executeTakeFirst();
    invariant(result.numUpdatedRows === 1n, `environment ${key.id} changed while it was locked`);
    await record(db, after, 'environment.changed', at);
    return after;
  });
}

function remove(access: Access, key: EnvironmentKey, at: string): Promise<void> {
  return access.atomically(async (db, locks) => {
    const row = await select(db, locks, key);
    if (row === undefined) return;
    await db.deleteFrom('environments').where('tenant', '=', key.tenant).where('id', '=', key.id).execute();
    await record(db, key, 'environment.deleted', at);
  });
}

async function record(db: Kysely<Database>, key: EnvironmentKey, type: EventType, at: string): Promise<void> {
  const { tenant, id } = key;
  await recordEvent(db, { type, tenant, subject: environmentSubject(key), data: { environment: id }, at });
}

async function select(db: Kysely<Database>, locks: Locks, { tenant, id }: EnvironmentKey) {
  if (!canHold(id)) return undefined;
  const query = db.selectFrom('environments').selectAll().where('tenant', '=', tenant).where('id', '=', id);
  return locks.rows(query).executeTakeFirst();
}
