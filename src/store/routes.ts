/** Routes in the database. They are removed with their machine (`machines.ts`). */
import type { Kysely } from 'kysely';
import { AppError } from '../core/errors.ts';
import type { Event, EventType } from '../core/events/event.ts';
import type { RouteFilter, RoutePage, RoutePatch, RouteRepository } from '../core/ports/store.ts';
import type { Route } from '../core/routes/route.ts';
import type { Access } from './access.ts';
import { type Damage, decodeOne } from './damage.ts';
import { DuplicateError } from './database.ts';
import { recordEvent } from './events.ts';
import { decodeRoute, encodeRoute } from './route-row.ts';
import { canHold, checkPage, type Database, encodeBoolean, encodeTime, type RouteTable } from './schema.ts';

export function routeRepository(access: Access, damage: Damage): RouteRepository {
  const one = (row: RouteTable | undefined) =>
    row === undefined ? null : decodeOne('route', row, decodeRoute);
  return {
    insert: (route) => insert(access, route),
    find: async (tenant, idOrSubdomain) => one(await find(access, tenant, idOrSubdomain)),
    bySubdomain: async (subdomain) => one(await bySubdomain(access, subdomain)),
    list: (filter) => list(access, damage, filter),
    count: (tenant) => count(access, tenant),
    patch: async (id, patch, at) => one(await change(access, id, patch, at)),
    remove: (id, at) => remove(access, id, at),
  };
}

/** Of a machine that is removed in the same transaction. */
export async function removeRoutesOf(db: Kysely<Database>, machineId: string): Promise<void> {
  await db.deleteFrom('routes').where('machine_id', '=', machineId).execute();
}

async function insert(access: Access, route: Route): Promise<void> {
  const row = encodeRoute(route);
  try {
    await access.atomically(async (db) => {
      await db.insertInto('routes').values(row).execute();
      await recordEvent(db, eventOf(row, 'route.created', route.createdAt));
    });
  } catch (error) {
    if (!(error instanceof DuplicateError) || !error.isOn('subdomain')) throw error;
    throw new AppError('conflict', `subdomain "${route.subdomain}" is already in use`, { cause: error });
  }
}

function eventOf(row: RouteTable, type: EventType, at: string): Event {
  const { id, tenant, machine_id: machineId, subdomain } = row;
  return { type, tenant, subject: { kind: 'route', id }, data: { machineId, subdomain }, at };
}

async function find(access: Access, tenant: string, text: string): Promise<RouteTable | undefined> {
  if (!canHold(text)) return undefined;
  return access.read((db) =>
    db
      .selectFrom('routes')
      .selectAll()
      .where('tenant', '=', tenant)
      .where((eb) => eb.or([eb('id', '=', text), eb('subdomain', '=', text)]))
      // A subdomain may look like an id; the id goes first.
      .orderBy((eb) => eb.case().when('id', '=', text).then(0).else(1).end())
      .limit(1)
      .executeTakeFirst(),
  );
}

function bySubdomain(access: Access, subdomain: string): Promise<RouteTable | undefined> {
  return access.read((db) =>
    db.selectFrom('routes').selectAll().where('subdomain', '=', subdomain).executeTakeFirst(),
  );
}

function matching(db: Kysely<Database>, { tenant, machineId }: Pick<RouteFilter, 'tenant' | 'machineId'>) {
  return db
    .selectFrom('routes')
    .where('tenant', '=', tenant)
    .$if(machineId !== undefined, (query) => query.where('machine_id', '=', machineId ?? ''));
}

async function list(access: Access, damage: Damage, filter: RouteFilter): Promise<RoutePage> {
  checkPage(filter);
  const { rows, total } = await access.snapshot(async (db) => ({
    rows: await matching(db, filter)
      .selectAll()
      .orderBy('created_at', 'desc')
      .orderBy('id', 'desc')
      .limit(filter.limit)
      .offset(filter.offset)
      .execute(),
    total: await matching(db, filter)
      .select(({ fn }) => fn.countAll<number | string>().as('total'))
      .executeTakeFirstOrThrow(),
  }));
  return { routes: damage.readable('route', rows, decodeRoute), total: Number(total.total) };
}

function count(access: Access, tenant?: string): Promise<number> {
  return access.read(async (db, locks) => {
    if (tenant !== undefined) await locks.name(`routes of ${tenant}`);
    const { total } = await db
      .selectFrom('routes')
      .$if(tenant !== undefined, (query) => query.where('tenant', '=', tenant ?? ''))
      .select(({ fn }) => fn.countAll<number | string>().as('total'))
      .executeTakeFirstOrThrow();
    return Number(total);
  });
}

function change(
  access: Access,
  id: string,
  { targetPort, autoWake, secret }: RoutePatch,
  at: string,
): Promise<RouteTable | undefined> {
  return access.atomically(async (db) => {
    const row = await db
      .updateTable('routes')
      .set({
        ...(targetPort === undefined ? {} : { target_port: targetPort }),
        ...(autoWake === undefined ? {} : { auto_wake: encodeBoolean(autoWake) }),
        ...(secret === undefined ? {} : { secret }),
        updated_at: encodeTime(at),
      })
      .where('id', '=', id)
      .returningAll()
      .executeTakeFirst();
    if (row !== undefined) await recordEvent(db, eventOf(row, 'route.changed', at));
    return row;
  });
}

async function remove(access: Access, id: string, at: string): Promise<void> {
  await access.atomically(async (db) => {
    const row = await db.deleteFrom('routes').where('id', '=', id).returningAll().executeTakeFirst();
    if (row !== undefined) await recordEvent(db, eventOf(row, 'route.deleted', at));
  });
}
