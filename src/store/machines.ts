/** Machines in the database. Knows nothing of which transitions make sense beyond refusing those that never do. */
import { type Kysely, type SqlBool, sql } from 'kysely';
import { AppError } from '../core/errors.ts';
import { checkChange } from '../core/machines/invariants.ts';
import type { Machine } from '../core/machines/machine.ts';
import { transitions } from '../core/machines/states.ts';
import type { MachineDetails, MachineFilter, MachineRepository, StateChange } from '../core/ports/store.ts';
import { invariant } from '../lib/invariant.ts';
import type { Access } from './access.ts';
import { DuplicateError } from './database.ts';
import { decodeMachine, encodeChanges, encodeMachine } from './machine-row.ts';
import { canHold, type Database, type MachineTable } from './schema.ts';

export function machineRepository(access: Access): MachineRepository {
  return {
    insert: (machine) => insert(access, machine),
    get: async (id) => decodeOptional(await access.read((db) => selectRow(db, id))),
    find: (tenant, idOrName) => find(access, tenant, idOrName),
    list: (filter) => list(access, filter),
    all: async () => {
      const rows = await access.read((db) =>
        db.selectFrom('machines').selectAll().orderBy('created_at').orderBy('id').execute(),
      );
      return rows.map(decodeMachine);
    },
    compareAndSet: (change) => compareAndSet(access, change),
    patch: (id, incarnation, details, at) => patch(access, id, incarnation, details, at),
    remove: (id) => remove(access, id),
  };
}

async function insert(access: Access, machine: Omit<Machine, 'slot'>): Promise<Machine> {
  try {
    return await access.atomically(async (db) => {
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

async function find(access: Access, tenant: string, idOrName: string): Promise<Machine | null> {
  if (!canHold(idOrName)) return null;
  const rows = await access.read((db) =>
    db
      .selectFrom('machines')
      .selectAll()
      .where('tenant', '=', tenant)
      .where((eb) => eb.or([eb('id', '=', idOrName), eb('name', '=', idOrName)]))
      .execute(),
  );
  return decodeOptional(rows.find((row) => row.id === idOrName) ?? rows[0]);
}

async function list(access: Access, filter: MachineFilter) {
  const { tenant, states, limit, offset } = filter;
  invariant(Number.isSafeInteger(limit) && limit >= 0, `not a limit: ${limit}`);
  invariant(Number.isSafeInteger(offset) && offset >= 0, `not an offset: ${offset}`);
  // `in ()` is an error to PostgreSQL.
  if (states?.length === 0) return { machines: [], total: 0 };
  const { rows, total } = await access.snapshot(async (db) => {
    const matching = db
      .selectFrom('machines')
      .$if(tenant !== undefined, (query) => query.where('tenant', '=', tenant ?? ''))
      .$if(states !== undefined, (query) => query.where('state', 'in', states ?? []));
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
  return { machines: rows.map(decodeMachine), total };
}

function compareAndSet(access: Access, change: StateChange): Promise<boolean> {
  const { id, from, fromOperationId, to, at } = change;
  return access.atomically(async (db) => {
    const row = await selectRow(db, id);
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
  return access.atomically(async (db) => {
    const row = await selectRow(db, id);
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
  return access.atomically(async (db) => {
    const row = await selectRow(db, id);
    if (row === undefined) return;
    const { state } = decodeMachine(row);
    const isDeletable = state === 'deleted' || transitions[state].includes('deleted');
    invariant(isDeletable, `machine ${id}: ${state} does not lead to deleted`);
    await db.deleteFrom('machines').where('id', '=', id).execute();
  });
}

async function selectRow(db: Kysely<Database>, id: string): Promise<MachineTable | undefined> {
  if (!canHold(id)) return undefined;
  return db.selectFrom('machines').selectAll().where('id', '=', id).executeTakeFirst();
}

function decodeOptional(row: MachineTable | undefined): Machine | null {
  return row === undefined ? null : decodeMachine(row);
}

/** Equality that holds for null too. */
function isSame(column: 'operation_id' | 'incarnation', value: string | null) {
  return value === null
    ? sql<SqlBool>`${sql.ref(column)} is null`
    : sql<SqlBool>`${sql.ref(column)} = ${value}`;
}
