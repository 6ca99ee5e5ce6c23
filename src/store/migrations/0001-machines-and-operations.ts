import { sql } from 'kysely';
import type { Migration } from './migration.ts';

/** Operations outlive their machine, so they refer to it by id only. */
export const machinesAndOperations: Migration = {
  version: 1,
  name: 'machines-and-operations',
  async up({ schema }) {
    await schema
      .createTable('machines')
      .addColumn('id', 'text', (column) => column.primaryKey().notNull())
      .addColumn('tenant', 'text', (column) => column.notNull())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('state', 'text', (column) => column.notNull())
      .addColumn('desired', 'text', (column) => column.notNull())
      .addColumn('operation_id', 'text')
      .addColumn('incarnation', 'text')
      .addColumn('slot', 'integer', (column) => column.notNull())
      .addColumn('image_digest', 'text', (column) => column.notNull())
      .addColumn('spec', 'text', (column) => column.notNull())
      .addColumn('handle', 'text')
      .addColumn('failure', 'text')
      .addColumn('created_at', 'text', (column) => column.notNull())
      .addColumn('updated_at', 'text', (column) => column.notNull())
      .addColumn('started_at', 'text')
      .execute();
    await schema
      .createIndex('machines_tenant_name')
      .unique()
      .on('machines')
      .columns(['tenant', 'name'])
      .execute();
    await schema.createIndex('machines_slot').unique().on('machines').column('slot').execute();
    await schema
      .createIndex('machines_newest')
      .on('machines')
      .columns(['tenant', 'created_at desc', 'id desc'])
      .execute();

    await schema
      .createTable('operations')
      .addColumn('id', 'text', (column) => column.primaryKey().notNull())
      .addColumn('kind', 'text', (column) => column.notNull())
      .addColumn('machine_id', 'text', (column) => column.notNull())
      .addColumn('params', 'text', (column) => column.notNull())
      .addColumn('state', 'text', (column) => column.notNull())
      .addColumn('steps', 'text', (column) => column.notNull())
      .addColumn('is_cancel_requested', 'integer', (column) => column.notNull())
      .addColumn('failure', 'text')
      .addColumn('created_at', 'text', (column) => column.notNull())
      .addColumn('updated_at', 'text', (column) => column.notNull())
      .execute();
    await schema
      .createIndex('operations_one_open')
      .unique()
      .on('operations')
      .column('machine_id')
      .where(sql<boolean>`state in ('running', 'undoing')`)
      .execute();
    await schema
      .createIndex('operations_newest')
      .on('operations')
      .columns(['created_at desc', 'id desc'])
      .execute();
  },
};
