/**
 * Machines in the database. It refuses transitions that are never valid; which ones make sense is decided
 * elsewhere.
 */
import { type Kysely, type SqlBool, sql } from 'kysely';
import { AppError } from '../core/errors.ts';
import type { Event, EventType } from '../core/events/event.ts';
import { checkChange } from '../core/machines/invariants.ts';
import type { Machine } from '../core/machines/machine.ts';
import { transitions } from '../core/machines/states.ts';
import type {
  EnvironmentKey,
  MachineDetails,
  MachineRepository,
  MemoryQuery,
  StateChange,
} from '../core/ports/store.ts';
import type { QuotaUsage } from '../core/quotas/quota.ts';
import { invariant } from '../lib/invariant.ts';
import type { Access } from './access.ts';
import { type Damage, damageOf, decodeOne } from './damage.ts';
import { DuplicateError } from './database.ts';
import { recordEvent } from './events.ts';
import type { Locks } from './locks.ts';
import { dueRows, idleRows, listRows } from './machine-list.ts';
import {
  decodeListed,
  decodeMachine,
  encodeChanges,
  encodeDetails,
  encodeLabels,
  encodeMachine,
  encodeSshKeys,
} from './machine-row.ts';
import { removeRoutesOf } from './routes.ts';
import { canHold, type Database, encodeTime, type MachineTable } from './schema.ts';

export function machineRepository(access: Access, damage: Damage): MachineRepository {
  return {
    insert: (machine) => insert(access, machine),
    get: async (id) => {
      const row = await access.read((db, locks) => selectRow(db, locks, id));
      return row === undefined ? null : decodeOne('machine', row, decodeMachine);
    },
    find: async (tenant, idOrName) => {
      const row = await find(access, tenant, idOrName);
      return row === undefined ? null : decodeOne('machine', row, decodeMachine);
    },
    withSshKey: async (fingerprint, idOrName, limit) => {
      const rows = await rowsWithSshKey(access, fingerprint, idOrName, limit);
      return damage.readable('machine', rows, decodeMachine);
    },
    list: async (filter) => {
      const { rows, total } = await listRows(access, filter);
      return { machines: damage.readable('machine', rows, decodeListed), total };
    },
    due: async (hostId, at, limit) =>
      damage.readable('machine', await dueRows(access, hostId, at, limit), decodeMachine),
    idle: async (hostId, at, limit) =>
      damage.readable('machine', await idleRows(access, hostId, at, limit), decodeMachine),
    noteIdleAt: (id, incarnation, idleAt) => noteIdleAt(access, id, incarnation, idleAt),
    all: async (hostId) => damage.readable('machine', await allRows(access, hostId), decodeMachine),
    damaged: async (hostId) =>
      (await allRows(access, hostId)).flatMap((row) => {
        const reason = damageOf(row, decodeMachine);
        const { id, name, incarnation, image_digest: imageDigest } = row;
        return reason === null ? [] : [{ id, name, incarnation, imageDigest, reason }];
      }),
    inEnvironment: async (key) =>
      damage.readable('machine', await environmentRows(access, key), decodeMachine),
    countInEnvironment: async (key) => (await environmentRows(access, key)).length,
    memoryMib: (query) => memoryMib(access, query),
    usage: (tenant) => usage(access, tenant),
    countOnImage: (hostId, imageDigest) => countOnImage(access, hostId, imageDigest),
    compareAndSet: (change) => compareAndSet(access, change),
    patch: (id, incarnation, details, at) => patch(access, id, incarnation, details, at),
    remove: (id, at) => remove(access, id, at),
  };
}

function allRows(access: Access, hostId: string): Promise<readonly MachineTable[]> {
  return access.read((db) =>
    db
      .selectFrom('machines')
      .selectAll()
      .where('host_id', '=', hostId)
      .orderBy('created_at')
      .orderBy('id')
      .execute(),
  );
}

/** A key is of few machines, so the index of keys finds them. */
async function rowsWithSshKey(
  access: Access,
  fingerprint: string,
  idOrName: string | null,
  limit: number,
): Promise<readonly MachineTable[]> {
  if (!canHold(fingerprint) || (idOrName !== null && !canHold(idOrName))) return [];
  return access.read((db) =>
    db
      .selectFrom('machines')
      .selectAll('machines')
      .innerJoin('machine_ssh_keys', 'machine_ssh_keys.machine_id', 'machines.id')
      .where('machine_ssh_keys.fingerprint', '=', fingerprint)
      .$if(idOrName !== null, (query) =>
        query.where((eb) => eb.or([eb('machines.id', '=', idOrName), eb('machines.name', '=', idOrName)])),
      )
      .orderBy('machines.created_at')
      .orderBy('machines.id')
      .limit(limit)
      .execute(),
  );
}

async function insert(access: Access, machine: Machine): Promise<Machine> {
  try {
    return await access.atomically(async (db) => {
      const row = encodeMachine(machine);
      await db.insertInto('machines').values(row).execute();
      await insertParts(db, machine);
      await recordEvent(db, eventOf(machine, 'machine.created', { state: machine.state }));
      return decodeMachine(row);
    });
  } catch (error) {
    throw explained(error, machine);
  }
}

function explained(error: unknown, { id, spec }: Pick<Machine, 'id' | 'spec'>): unknown {
  if (!(error instanceof DuplicateError)) return error;
  const named = error.isOn('tenant', 'name') ? `name '${spec.name}'` : error.isOn('id') ? `id '${id}'` : null;
  if (named === null) return error;
  return new AppError('conflict', `Machine with ${named} already exists`, {
    cause: error,
    hint: 'Choose another name, or delete that machine first.',
  });
}

/** Its labels and SSH keys, by which it is found. */
async function insertParts(db: Kysely<Database>, machine: Machine): Promise<void> {
  const labels = encodeLabels(machine);
  if (labels.length > 0) await db.insertInto('machine_labels').values(labels).execute();
  const sshKeys = encodeSshKeys(machine);
  if (sshKeys.length > 0) await db.insertInto('machine_ssh_keys').values(sshKeys).execute();
}

async function removeParts(db: Kysely<Database>, id: string): Promise<void> {
  await db.deleteFrom('machine_labels').where('machine_id', '=', id).execute();
  await db.deleteFrom('machine_ssh_keys').where('machine_id', '=', id).execute();
}

async function memoryMib(access: Access, { hostId, states, except }: MemoryQuery): Promise<number> {
  const { sum } = await access.read((db) =>
    db
      .selectFrom('machines')
      .select(({ fn }) => fn.sum<number | string | null>('memory_mib').as('sum'))
      .where('host_id', '=', hostId)
      .where((eb) =>
        eb.or([
          eb('state', 'in', states),
          eb.and([eb('state', '=', 'failed'), eb('handle', 'is not', null)]),
        ]),
      )
      .where('id', '!=', except)
      .executeTakeFirstOrThrow(),
  );
  return Number(sum ?? 0);
}

async function usage(access: Access, tenant: string): Promise<QuotaUsage> {
  if (!canHold(tenant)) return { machines: 0, vcpus: 0, memoryMib: 0, diskMib: 0 };
  const sums = await access.read((db) =>
    db
      .selectFrom('machines')
      .select(({ fn }) => [
        fn.countAll<number | string>().as('machines'),
        fn.sum<number | string | null>('vcpu_count').as('vcpus'),
        fn.sum<number | string | null>('memory_mib').as('memory'),
        fn.sum<number | string | null>('disk_mib').as('disk'),
      ])
      .where('tenant', '=', tenant)
      .executeTakeFirstOrThrow(),
  );
  const { machines, vcpus, memory, disk } = sums;
  return {
    machines: Number(machines),
    vcpus: Number(vcpus ?? 0),
    memoryMib: Number(memory ?? 0),
    diskMib: Number(disk ?? 0),
  };
}

async function countOnImage(access: Access, hostId: string, imageDigest: string): Promise<number> {
  const { count } = await access.read((db) =>
    db
      .selectFrom('machines')
      .select(({ fn }) => fn.countAll<number | string>().as('count'))
      .where('host_id', '=', hostId)
      .where('image_digest', '=', imageDigest)
      .executeTakeFirstOrThrow(),
  );
  return Number(count);
}

/** An environment has few machines, so that counting them may read them. */
function environmentRows(access: Access, { tenant, id }: EnvironmentKey): Promise<readonly MachineTable[]> {
  return access.read((db) =>
    db
      .selectFrom('machines')
      .selectAll()
      .where('tenant', '=', tenant)
      .where('environment_id', '=', id)
      .orderBy('created_at')
      .orderBy('name')
      .execute(),
  );
}

/** Two lookups, the second rarely needed: a single one with `or` is half as fast in SQLite. */
async function find(access: Access, tenant: string, idOrName: string): Promise<MachineTable | undefined> {
  if (!canHold(idOrName)) return undefined;
  const row = await access.read((db, locks) => selectRow(db, locks, idOrName));
  if (row?.tenant === tenant) return row;
  return access.read((db, locks) => selectRowByName(db, locks, tenant, idOrName));
}

function compareAndSet(access: Access, change: StateChange): Promise<boolean> {
  const { id, from, fromOperationId, to, at } = change;
  return access.atomically(async (db, locks) => {
    const row = await selectRow(db, locks, id);
    if (row === undefined || row.state !== from || row.operation_id !== fromOperationId) return false;
    const before = decodeOne('machine', row, decodeMachine);
    const revision = before.revision + 1;
    const after: Machine = { ...before, ...change.patch, state: to, revision, updatedAt: at };
    const broken = checkChange(before, after);
    invariant(broken.length === 0, `machine ${id}: ${broken.join('; ')}`);
    const result = await db
      .updateTable('machines')
      .set(encodeChanges(after))
      .where('id', '=', id)
      .where('state', '=', from)
      .where(isSame('operation_id', fromOperationId))
      .executeTakeFirst();
    if (result.numUpdatedRows !== 1n) return false;
    // A deleted machine is removed next, and that is the event.
    if (to !== 'deleted') await recordEvent(db, eventOf(after, 'machine.state_changed', { from, to }));
    return true;
  });
}

async function patch(
  access: Access,
  id: string,
  incarnation: string | null,
  details: MachineDetails,
  at: string,
): Promise<boolean> {
  try {
    return await access.atomically(async (db, locks) => {
      const row = await selectRow(db, locks, id);
      if (row === undefined || row.incarnation !== incarnation) return false;
      const before = decodeOne('machine', row, decodeMachine);
      const after: Machine = { ...before, ...details, revision: before.revision + 1, updatedAt: at };
      const result = await db
        .updateTable('machines')
        .set(details.spec === undefined ? encodeChanges(after) : encodeDetails(after))
        .where('id', '=', id)
        .where(isSame('incarnation', incarnation))
        .executeTakeFirst();
      if (result.numUpdatedRows !== 1n) return false;
      if (details.spec !== undefined) {
        await removeParts(db, id);
        await insertParts(db, after);
      }
      await recordEvent(db, eventOf(after, 'machine.changed', { fields: Object.keys(details) }));
      return true;
    });
  } catch (error) {
    throw details.spec === undefined ? error : explained(error, { id, spec: details.spec });
  }
}

function noteIdleAt(access: Access, id: string, incarnation: string, idleAt: string): Promise<void> {
  return access.atomically(async (db) => {
    await db
      .updateTable('machines')
      .set({ idle_at: encodeTime(idleAt) })
      .where('id', '=', id)
      .where('incarnation', '=', incarnation)
      .where('state', '=', 'running')
      .where('idle_at', 'is not', null)
      .execute();
  });
}

function remove(access: Access, id: string, at: string): Promise<void> {
  return access.atomically(async (db, locks) => {
    const row = await selectRow(db, locks, id);
    if (row === undefined) return;
    const machine = decodeOne('machine', row, decodeMachine);
    const { state } = machine;
    const isDeletable = state === 'deleted' || transitions[state].includes('deleted');
    invariant(isDeletable, `machine ${id}: ${state} does not lead to deleted`);
    await db.deleteFrom('machines').where('id', '=', id).execute();
    await removeParts(db, id);
    await removeRoutesOf(db, id);
    await recordEvent(db, { ...eventOf(machine, 'machine.deleted', {}), at });
  });
}

function eventOf(machine: Machine, type: EventType, data: Readonly<Record<string, unknown>>): Event {
  const { id, tenant, spec, operationId, incarnation, failure, updatedAt } = machine;
  const common = { name: spec.name, operationId, incarnation, failure: failure?.code ?? null };
  return { type, tenant, subject: { kind: 'machine', id }, data: { ...common, ...data }, at: updatedAt };
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

/** Equality that also matches null. */
function isSame(column: 'operation_id' | 'incarnation', value: string | null) {
  return value === null
    ? sql<SqlBool>`${sql.ref(column)} is null`
    : sql<SqlBool>`${sql.ref(column)} = ${value}`;
}
