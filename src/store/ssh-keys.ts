/** Registered SSH keys in the database. */
import type { Kysely } from 'kysely';
import { AppError } from '../core/errors.ts';
import type { Event, EventType } from '../core/events/event.ts';
import type { SshKeyFilter, SshKeyPage, SshKeyRepository } from '../core/ports/store.ts';
import type { SshKey } from '../core/ssh/ssh-key.ts';
import type { Access } from './access.ts';
import { type Damage, decodeOne } from './damage.ts';
import { DuplicateError } from './database.ts';
import { recordEvent } from './events.ts';
import { canHold, checkPage, type Database, encodeJson, type SshKeyTable } from './schema.ts';
import { decodeSshKey, encodeSshKey } from './ssh-key-row.ts';

export function sshKeyRepository(access: Access, damage: Damage): SshKeyRepository {
  return {
    insert: (key) => insert(access, key),
    find: async (tenant, text) => {
      if (!canHold(text)) return null;
      const row = await access.read((db, locks) =>
        locks
          .rows(
            ofTenant(db, tenant)
              .selectAll()
              .where((eb) =>
                eb.or([eb('id', '=', text), eb('name', '=', encodeJson(text)), eb('fingerprint', '=', text)]),
              ),
          )
          .executeTakeFirst(),
      );
      return row === undefined ? null : decodeOne('SSH key', row, decodeSshKey);
    },
    withFingerprint: async (fingerprint, limit) => {
      const rows = await access.read((db) =>
        db
          .selectFrom('ssh_keys')
          .selectAll()
          .where('fingerprint', '=', fingerprint)
          .orderBy('created_at')
          .orderBy('id')
          .limit(limit)
          .execute(),
      );
      return damage.readable('SSH key', rows, decodeSshKey);
    },
    list: (filter) => list(access, damage, filter),
    count: (tenant) =>
      access.read(async (db, locks) => {
        await locks.name(`ssh_keys of ${tenant}`);
        return countIn(db, tenant);
      }),
    remove: (id, at) => remove(access, id, at),
  };
}

async function insert(access: Access, key: SshKey): Promise<void> {
  const row = encodeSshKey(key);
  try {
    await access.atomically(async (db) => {
      await db.insertInto('ssh_keys').values(row).execute();
      await recordEvent(db, eventOf(row, 'ssh_key.created', key.createdAt));
    });
  } catch (error) {
    if (!(error instanceof DuplicateError)) throw error;
    if (error.isOn('tenant', 'name')) {
      throw new AppError('conflict', `SSH key with name '${key.name}' already exists`, { cause: error });
    }
    if (!error.isOn('fingerprint', 'tenant')) throw error;
    throw new AppError('conflict', `the SSH key ${key.fingerprint} is registered already`, { cause: error });
  }
}

function eventOf({ id, tenant, fingerprint }: SshKeyTable, type: EventType, at: string): Event {
  return { type, tenant, subject: { kind: 'ssh_key', id }, data: { fingerprint }, at };
}

function ofTenant(db: Kysely<Database>, tenant: string) {
  return db.selectFrom('ssh_keys').where('tenant', '=', tenant);
}

async function list(access: Access, damage: Damage, filter: SshKeyFilter): Promise<SshKeyPage> {
  const { tenant, limit, offset } = filter;
  checkPage(filter);
  const { rows, total } = await access.snapshot(async (db) => ({
    rows: await ofTenant(db, tenant)
      .selectAll()
      .orderBy('created_at', 'desc')
      .orderBy('id', 'desc')
      .limit(limit)
      .offset(offset)
      .execute(),
    total: await countIn(db, tenant),
  }));
  return { keys: damage.readable('SSH key', rows, decodeSshKey), total };
}

async function countIn(db: Kysely<Database>, tenant: string): Promise<number> {
  const { total } = await ofTenant(db, tenant)
    .select(({ fn }) => fn.countAll<number | string>().as('total'))
    .executeTakeFirstOrThrow();
  return Number(total);
}

async function remove(access: Access, id: string, at: string): Promise<void> {
  await access.atomically(async (db) => {
    const row = await db.deleteFrom('ssh_keys').where('id', '=', id).returningAll().executeTakeFirst();
    if (row !== undefined) await recordEvent(db, eventOf(row, 'ssh_key.deleted', at));
  });
}
