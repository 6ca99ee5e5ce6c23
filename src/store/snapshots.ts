/** Snapshots in the database. They stay when their machine is removed. */
import type { Kysely } from 'kysely';
import { AppError } from '../core/errors.ts';
import type { Event, EventType } from '../core/events/event.ts';
import type { SnapshotFilter, SnapshotPage, SnapshotPatch, SnapshotRepository } from '../core/ports/store.ts';
import type { Snapshot } from '../core/snapshots/snapshot.ts';
import type { Access } from './access.ts';
import { type Damage, decodeOne } from './damage.ts';
import { DuplicateError } from './database.ts';
import { recordEvent } from './events.ts';
import { canHold, checkPage, type Database, type SnapshotTable } from './schema.ts';
import { decodeSnapshot, encodeSnapshot } from './snapshot-row.ts';

export function snapshotRepository(access: Access, damage: Damage): SnapshotRepository {
  const one = (row: SnapshotTable | undefined) =>
    row === undefined ? null : decodeOne('snapshot', row, decodeSnapshot);
  return {
    insert: (snapshot) => insert(access, snapshot),
    get: async (id) => one(await byId(access, id)),
    find: async (tenant, idOrName) => one(await find(access, tenant, idOrName)),
    list: (filter) => list(access, damage, filter),
    count: (tenant, machineId) =>
      count(access, { tenant, ...(machineId === undefined ? {} : { machineId }) }),
    ids: (hostId) => ids(access, hostId),
    countOnImage: (hostId, imageDigest) => countOnImage(access, hostId, imageDigest),
    imageDigests: (hostId) => imageDigests(access, hostId),
    patch: (id, patch, at) => change(access, id, patch, at),
    remove: (id, at) => remove(access, id, at),
  };
}

async function insert(access: Access, snapshot: Snapshot): Promise<void> {
  const row = encodeSnapshot(snapshot);
  try {
    await access.atomically(async (db) => {
      await db.insertInto('snapshots').values(row).execute();
      await recordEvent(db, eventOf(row, 'snapshot.created', snapshot.createdAt));
    });
  } catch (error) {
    if (!(error instanceof DuplicateError) || !error.isOn('tenant', 'name')) throw error;
    throw new AppError('conflict', `Snapshot with name '${snapshot.name}' already exists`, {
      cause: error,
      hint: 'Choose another name, or delete that snapshot first.',
    });
  }
}

function eventOf(row: SnapshotTable, type: EventType, at: string): Event {
  const { id, tenant, name, state, machine_id: machineId } = row;
  return { type, tenant, subject: { kind: 'snapshot', id }, data: { name, machineId, state }, at };
}

async function byId(access: Access, id: string): Promise<SnapshotTable | undefined> {
  if (!canHold(id)) return undefined;
  return access.read((db, locks) =>
    locks.rows(db.selectFrom('snapshots').selectAll().where('id', '=', id)).executeTakeFirst(),
  );
}

/** A name never looks like an id, so the order of the two does not matter. */
async function find(access: Access, tenant: string, idOrName: string): Promise<SnapshotTable | undefined> {
  if (!canHold(idOrName)) return undefined;
  return access.read((db, locks) =>
    locks
      .rows(
        db
          .selectFrom('snapshots')
          .selectAll()
          .where('tenant', '=', tenant)
          .where((eb) => eb.or([eb('id', '=', idOrName), eb('name', '=', idOrName)])),
      )
      .executeTakeFirst(),
  );
}

type Matching = Pick<SnapshotFilter, 'tenant' | 'machineId'>;

function matching(db: Kysely<Database>, { tenant, machineId }: Matching) {
  return db
    .selectFrom('snapshots')
    .where('tenant', '=', tenant)
    .$if(machineId !== undefined, (query) => query.where('machine_id', '=', machineId ?? ''));
}

async function list(access: Access, damage: Damage, filter: SnapshotFilter): Promise<SnapshotPage> {
  checkPage(filter);
  const { rows, total } = await access.snapshot(async (db) => ({
    rows: await matching(db, filter)
      .selectAll()
      .orderBy('created_at', 'desc')
      .orderBy('id', 'desc')
      .limit(filter.limit)
      .offset(filter.offset)
      .execute(),
    total: await countIn(db, filter),
  }));
  return { snapshots: damage.readable('snapshot', rows, decodeSnapshot), total };
}

function count(access: Access, which: Matching): Promise<number> {
  return access.read(async (db, locks) => {
    await locks.name(`snapshots of ${which.tenant}`);
    return countIn(db, which);
  });
}

async function countIn(db: Kysely<Database>, which: Matching): Promise<number> {
  const { total } = await matching(db, which)
    .select(({ fn }) => fn.countAll<number | string>().as('total'))
    .executeTakeFirstOrThrow();
  return Number(total);
}

async function ids(access: Access, hostId: string): Promise<readonly string[]> {
  const rows = await access.read((db) =>
    db.selectFrom('snapshots').select('id').where('host_id', '=', hostId).orderBy('id').execute(),
  );
  return rows.map(({ id }) => id);
}

async function countOnImage(access: Access, hostId: string, imageDigest: string): Promise<number> {
  const { total } = await access.read((db) =>
    db
      .selectFrom('snapshots')
      .select(({ fn }) => fn.countAll<number | string>().as('total'))
      .where('host_id', '=', hostId)
      .where('image_digest', '=', imageDigest)
      .executeTakeFirstOrThrow(),
  );
  return Number(total);
}

async function imageDigests(access: Access, hostId: string): Promise<readonly string[]> {
  const rows = await access.read((db) =>
    db
      .selectFrom('snapshots')
      .select('image_digest')
      .distinct()
      .where('host_id', '=', hostId)
      .orderBy('image_digest')
      .execute(),
  );
  return rows.map(({ image_digest: digest }) => digest);
}

function change(access: Access, id: string, patch: SnapshotPatch, at: string): Promise<Snapshot | null> {
  return access.atomically(async (db, locks) => {
    if (!canHold(id)) return null;
    const before = await locks
      .rows(db.selectFrom('snapshots').selectAll().where('id', '=', id))
      .executeTakeFirst();
    if (before === undefined) return null;
    const row = encodeSnapshot({ ...decodeOne('snapshot', before, decodeSnapshot), ...patch, updatedAt: at });
    const { state, has_memory, size_bytes, updated_at } = row;
    await db
      .updateTable('snapshots')
      .set({ state, has_memory, size_bytes, updated_at })
      .where('id', '=', id)
      .execute();
    await recordEvent(db, eventOf(row, 'snapshot.changed', at));
    return decodeSnapshot(row);
  });
}

async function remove(access: Access, id: string, at: string): Promise<void> {
  await access.atomically(async (db) => {
    const row = await db.deleteFrom('snapshots').where('id', '=', id).returningAll().executeTakeFirst();
    if (row !== undefined) await recordEvent(db, eventOf(row, 'snapshot.deleted', at));
  });
}
