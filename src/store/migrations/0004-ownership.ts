import { sql } from 'kysely';
import { isPostgres } from '../dialect.ts';
import type { Migration, NoTables } from './migration.ts';

type Before = {
  readonly machines: {
    readonly id: string;
    readonly spec: string;
    readonly slot: number;
    readonly created_at: string;
    readonly memory_mib: number;
  };
  readonly operations: {
    readonly id: string;
    readonly machine_id: string;
    readonly state: string;
    readonly subjects: string;
  };
  readonly operation_subjects: {
    readonly operation_id: string;
    readonly kind: string;
    readonly subject_id: string;
    readonly is_open: number;
  };
  readonly allocations: {
    readonly host_id: string;
    readonly kind: string;
    readonly value: number;
    readonly owner_kind: string;
    readonly owner_id: string;
    readonly created_at: string;
  };
};

/**
 * Rows get an owner: machines and operations a host, operations an epoch, a revision and subjects of any kind. What is
 * handed out by number moves to a table of its own, and every change is an event. Rows that were there before belong to
 * no host (''), until the first daemon that starts takes them over.
 */
export const ownership: Migration = {
  version: 4,
  name: 'ownership',
  async up(tx) {
    await addHosts(tx);
    await changeMachines(tx);
    await changeOperations(tx);
    await addEvents(tx);
  },
};

async function addHosts({ schema }: NoTables): Promise<void> {
  await schema
    .createTable('hosts')
    .addColumn('id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('epoch', 'integer', (column) => column.notNull())
    .addColumn('claimed_at', 'text', (column) => column.notNull())
    .execute();
  await schema
    .createTable('allocations')
    .addColumn('host_id', 'text', (column) => column.notNull())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('value', 'integer', (column) => column.notNull())
    .addColumn('owner_kind', 'text', (column) => column.notNull())
    .addColumn('owner_id', 'text', (column) => column.notNull())
    .addColumn('created_at', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('allocations_pkey', ['host_id', 'kind', 'value'])
    .execute();
  await schema
    .createIndex('allocations_owner')
    .on('allocations')
    .columns(['host_id', 'owner_kind', 'owner_id'])
    .execute();
  await schema
    .createTable('allocation_cursors')
    .addColumn('host_id', 'text', (column) => column.notNull())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('latest', 'integer', (column) => column.notNull())
    .addPrimaryKeyConstraint('allocation_cursors_pkey', ['host_id', 'kind'])
    .execute();
}

async function changeMachines(tx: NoTables): Promise<void> {
  const { schema } = tx;
  await schema
    .alterTable('machines')
    .addColumn('host_id', 'text', (column) => column.notNull().defaultTo(''))
    .execute();
  await schema.alterTable('machines').addColumn('boot_id', 'text').execute();
  await schema
    .alterTable('machines')
    .addColumn('memory_mib', 'integer', (column) => column.notNull().defaultTo(0))
    .execute();
  await schema.dropIndex('machines_slot').execute();
  await schema.createIndex('machines_host').on('machines').columns(['host_id', 'created_at', 'id']).execute();
  const db = tx.$extendTables<Before>();
  for (const { id, spec, slot, created_at } of await db.selectFrom('machines').selectAll().execute()) {
    const memoryMib = memoryOf(spec);
    await db.updateTable('machines').set({ memory_mib: memoryMib }).where('id', '=', id).execute();
    const owner = { owner_kind: 'machine', owner_id: id };
    await db
      .insertInto('allocations')
      .values({ host_id: '', kind: 'vmm_uid', value: slot, ...owner, created_at })
      .execute();
  }
}

/** A spec that cannot be read is left to whoever reads the row. */
function memoryOf(spec: string): number {
  try {
    const { memoryMib } = JSON.parse(spec) as { readonly memoryMib?: unknown };
    return typeof memoryMib === 'number' && Number.isSafeInteger(memoryMib) ? memoryMib : 0;
  } catch {
    return 0;
  }
}

async function changeOperations(tx: NoTables): Promise<void> {
  const { schema } = tx;
  const add = (name: string, type: 'text' | 'integer', initial: string | number) =>
    schema
      .alterTable('operations')
      .addColumn(name, type, (column) => column.notNull().defaultTo(initial))
      .execute();
  await add('subjects', 'text', '[]');
  await add('host_id', 'text', '');
  await add('epoch', 'integer', 0);
  await add('boot_id', 'text', '');
  await add('revision', 'integer', 0);
  await schema
    .createTable('operation_subjects')
    .addColumn('operation_id', 'text', (column) => column.notNull())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('subject_id', 'text', (column) => column.notNull())
    .addColumn('is_open', 'integer', (column) => column.notNull())
    .addPrimaryKeyConstraint('operation_subjects_pkey', ['operation_id', 'kind', 'subject_id'])
    .execute();
  const db = tx.$extendTables<Before>();
  for (const { id, machine_id, state } of await db.selectFrom('operations').selectAll().execute()) {
    const subjects = JSON.stringify([{ kind: 'machine', id: machine_id }]);
    await db.updateTable('operations').set({ subjects }).where('id', '=', id).execute();
    const isOpen = state === 'running' || state === 'undoing';
    await db
      .insertInto('operation_subjects')
      .values({ operation_id: id, kind: 'machine', subject_id: machine_id, is_open: isOpen ? 1 : 0 })
      .execute();
  }
  await schema
    .createIndex('operation_subjects_one_open')
    .unique()
    .on('operation_subjects')
    .columns(['kind', 'subject_id'])
    .where(sql<boolean>`is_open = 1`)
    .execute();
  await schema
    .createIndex('operation_subjects_subject')
    .on('operation_subjects')
    .columns(['kind', 'subject_id'])
    .execute();
  await schema.dropIndex('operations_one_open').execute();
  await schema.dropIndex('operations_machine_newest').execute();
  await schema.alterTable('operations').dropColumn('machine_id').execute();
  await schema.createIndex('operations_host_state').on('operations').columns(['host_id', 'state']).execute();
}

/**
 * PostgreSQL gives numbers before transactions commit, so there the order of events is that of transaction ids, of which
 * only those that no open transaction can precede are read. SQLite commits one transaction at a time.
 */
async function addEvents(tx: NoTables): Promise<void> {
  const hasTransactionIds = isPostgres(tx);
  await tx.schema
    .createTable('events')
    .addColumn('seq', hasTransactionIds ? 'bigserial' : 'integer', (column) =>
      hasTransactionIds ? column.primaryKey() : column.primaryKey().autoIncrement(),
    )
    .addColumn('xid', 'bigint', (column) =>
      column.notNull().defaultTo(hasTransactionIds ? sql`(pg_current_xact_id()::text::bigint)` : 0),
    )
    .addColumn('type', 'text', (column) => column.notNull())
    .addColumn('tenant', 'text', (column) => column.notNull())
    .addColumn('subject_kind', 'text', (column) => column.notNull())
    .addColumn('subject_id', 'text', (column) => column.notNull())
    .addColumn('data', 'text', (column) => column.notNull())
    .addColumn('at', 'text', (column) => column.notNull())
    .execute();
  await tx.schema.createIndex('events_order').on('events').columns(['xid', 'seq']).execute();
}
