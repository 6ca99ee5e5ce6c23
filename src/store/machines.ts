/** Machines in the database. Knows nothing of which transitions make sense beyond refusing those that never do. */
import { type Kysely, type SqlBool, sql } from 'kysely';
import { AppError } from '../core/errors.ts';
import { checkChange } from '../core/machines/invariants.ts';
import type { Machine } from '../core/machines/machine.ts';
import { transitions } from '../core/machines/states.ts';
import type { MachineDetails, MachineFilter, MachineRepository, StateChange } from '../core/ports/store.ts';
import { invariant } from '../lib/invariant.ts';
import type { Access } from './access.ts';
import { compiledQuery } from './compiled.ts';
import { DuplicateError } from './database.ts';
import type { Locks } from './locks.ts';
import { decodeMachine, encodeChanges, encodeMachine } from './machine-row.ts';
import { canHold, checkPage, type Database, type MachineTable } from './schema.ts';

/** `decode` is `decodeMachine`, or what remembers its results. */
export function machineRepository(access: Access, decode: Decode): MachineRepository {
  return {
    insert: (machine) => insert(access, machine),
    get: async (id) => {
      const row = await access.read((db, locks) => selectRow(db, locks, id));
      return row === undefined ? null : decode(row);
    },
    find: async (tenant, idOrName) => {
      const row = await find(access, tenant, idOrName);
      return row === undefined ? null : decode(row);
    },
    list: async (filter) => {
      const { rows, total } = await list(access, filter);
      return { machines: rows.map(decode), total };
    },
    all: async () => {
      const rows = await access.read((db) =>
        db.selectFrom('machines').selectAll().orderBy('created_at').orderBy('id').execute(),
      );
      return rows.map(decode);
    },
    compareAndSet: (change) => compareAndSet(access, change),
    patch: (id, incarnation, details, at) => patch(access, id, incarnation, details, at),
    remove: (id) => remove(access, id),
  };
}

type Decode = (row: MachineTable) => Machine;

async function insert(access: Access, machine: Omit<Machine, 'slot'>): Promise<Machine> {
  try {
    return await access.atomically(async (db, locks) => {
      await locks.name('machines.slot');
      const row = encodeMachine({ ...machine, slot: await lowestFreeSlot(db) });
      await db.insertInto('machines').values(row).execute();
      return decodeMachine(row);
    });
  } catch (error) {
    if (!(error instanceof DuplicateError)) throw error;
    if (error.isOn('tenant', 'name'))
      throw new AppError('conflict', `Machine with name '${machine.spec.name}' already exists`, {
        cause: error,
      });
    if (error.isOn('id'))
      throw new AppError('conflict', `Machine with id '${machine.id}' already exists`, { cause: error });
    throw error;
  }
}

/** The lowest number from 1 on that follows a taken one, or 0, and is itself free. */
async function lowestFreeSlot(db: Kysely<Database>): Promise<number> {
  const taken = db.selectFrom('machines').select('slot');
  const { slot } = await db
    .selectFrom(taken.unionAll(db.selectNoFrom(sql<number>`0`.as('slot'))).as('lower'))
    .select(({ fn }) => sql<number>`${fn.min('lower.slot')} + 1`.as('slot'))
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('machines as upper')
            .select('upper.slot')
            .where('upper.slot', '=', sql<number>`lower.slot + 1`),
        ),
      ),
    )
    .executeTakeFirstOrThrow();
  return slot;
}

/** Two lookups, the second seldom: one with `or` takes SQLite twice as long. */
async function find(access: Access, tenant: string, idOrName: string): Promise<MachineTable | undefined> {
  if (!canHold(idOrName)) return undefined;
  const row = await access.read((db, locks) => selectRow(db, locks, idOrName));
  if (row?.tenant === tenant) return row;
  return access.read((db, locks) => selectRowByName(db, locks, tenant, idOrName));
}

/** The rows that match, before they are ordered and cut into pages. */
function matching(db: Kysely<Database>, { tenant, states }: Pick<MachineFilter, 'tenant' | 'states'>) {
  return db
    .selectFrom('machines')
    .$if(tenant !== undefined, (query) => query.where('tenant', '=', tenant ?? ''))
    .$if(states !== undefined, (query) => query.where('state', 'in', states ?? []));
}

function selectPage(db: Kysely<Database>, filter: MachineFilter) {
  const total = matching(db, filter).select(({ fn }) => fn.countAll<number | string>().as('total'));
  return matching(db, filter)
    .selectAll()
    .select(total.as('total'))
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(filter.limit)
    .offset(filter.offset);
}

/** What nearly every list asks for. */
const selectTenantPage = compiledQuery((db, tenant: string, limit: number, offset: number) =>
  selectPage(db, { tenant, limit, offset }),
);

async function list(access: Access, filter: MachineFilter) {
  const { tenant, states, limit, offset } = filter;
  checkPage(filter);
  // `in ()` is an error to PostgreSQL.
  if (states?.length === 0) return { rows: [], total: 0 };
  const rows = await access.read((db) =>
    tenant !== undefined && states === undefined
      ? selectTenantPage(db, tenant, limit, offset)
      : selectPage(db, filter).execute(),
  );
  const total = rows[0]?.total ?? (await count(access, filter));
  return { rows, total: Number(total) };
}

/** For a page that holds nothing and so cannot say how much there is. */
async function count(access: Access, filter: MachineFilter): Promise<number | string> {
  const { total } = await access.read((db) =>
    matching(db, filter)
      .select(({ fn }) => fn.countAll<number | string>().as('total'))
      .executeTakeFirstOrThrow(),
  );
  return total;
}

function compareAndSet(access: Access, change: StateChange): Promise<boolean> {
  const { id, from, fromOperationId, to, at } = change;
  return access.atomically(async (db, locks) => {
    const row = await selectRow(db, locks, id);
    if (row === undefined || row.state !== from || row.operation_id !== fromOperationId) return false;
    const before = decodeMachine(row);
    const after: Machine = { ...before, ...change.patch, state: to, updatedAt: at };
    const broken = checkChange(before, after);
    invariant(broken.length === 0, `machine ${id}: ${broken.join('; ')}`);
    const result = await db
      .updateTable('machines')
      .set(encodeChanges(after))
      .where('id', '=', id)
      .where('state', '=', from)
      .where(isSame('operation_id', fromOperationId))
      .executeTakeFirst();
    return result.numUpdatedRows === 1n;
  });
}

function patch(
  access: Access,
  id: string,
  incarnation: string | null,
  details: MachineDetails,
  at: string,
): Promise<boolean> {
  return access.atomically(async (db, locks) => {
    const row = await selectRow(db, locks, id);
    if (row === undefined || row.incarnation !== incarnation) return false;
    const after: Machine = { ...decodeMachine(row), ...details, updatedAt: at };
    const result = await db
      .updateTable('machines')
      .set(encodeChanges(after))
      .where('id', '=', id)
      .where(isSame('incarnation', incarnation))
      .executeTakeFirst();
    return result.numUpdatedRows === 1n;
  });
}

function remove(access: Access, id: string): Promise<void> {
  return access.atomically(async (db, locks) => {
    const row = await selectRow(db, locks, id);
    if (row === undefined) return;
    const { state } = decodeMachine(row);
    const isDeletable = state === 'deleted' || transitions[state].includes('deleted');
    invariant(isDeletable, `machine ${id}: ${state} does not lead to deleted`);
    await db.deleteFrom('machines').where('id', '=', id).execute();
  });
}

async function selectRow(db: Kysely<Database>, locks: Locks, id: string): Promise<MachineTable | undefined> {
  if (!canHold(id)) return undefined;
  return locks.rows(db.selectFrom('machines').selectAll().where('id', '=', id)).executeTakeFirst();
}

function selectRowByName(db: Kysely<Database>, locks: Locks, tenant: string, name: string) {
  return locks
    .rows(db.selectFrom('machines').selectAll().where('tenant', '=', tenant).where('name', '=', name))
    .executeTakeFirst();
}

/** Equality that holds for null too. */
function isSame(column: 'operation_id' | 'incarnation', value: string | null) {
  return value === null
    ? sql<SqlBool>`${sql.ref(column)} is null`
    : sql<SqlBool>`${sql.ref(column)} = ${value}`;
}
