import type { Migration } from './migration.ts';

export const snapshots: Migration = {
  version: 19,
  name: 'snapshots',
  async up({ schema }) {
    await schema
      .createTable('snapshots')
      .addColumn('id', 'text', (column) => column.notNull())
      .addColumn('host_id', 'text', (column) => column.notNull())
      .addColumn('tenant', 'text', (column) => column.notNull())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('state', 'text', (column) => column.notNull())
      .addColumn('machine_id', 'text', (column) => column.notNull())
      .addColumn('parent_id', 'text')
      .addColumn('has_memory', 'integer', (column) => column.notNull())
      .addColumn('image_digest', 'text', (column) => column.notNull())
      .addColumn('spec', 'text', (column) => column.notNull())
      .addColumn('user_data', 'text')
      .addColumn('labels', 'text', (column) => column.notNull())
      .addColumn('size_bytes', 'bigint')
      .addColumn('created_at', 'text', (column) => column.notNull())
      .addColumn('updated_at', 'text', (column) => column.notNull())
      .addPrimaryKeyConstraint('snapshots_pkey', ['id'])
      .execute();
    await schema
      .createIndex('snapshots_tenant_name')
      .unique()
      .on('snapshots')
      .columns(['tenant', 'name'])
      .execute();
    await schema
      .createIndex('snapshots_newest')
      .on('snapshots')
      .columns(['tenant', 'created_at desc', 'id desc'])
      .execute();
    await schema
      .createIndex('snapshots_machine')
      .on('snapshots')
      .columns(['machine_id', 'created_at desc', 'id desc'])
      .execute();
    await schema
      .createIndex('snapshots_image')
      .on('snapshots')
      .columns(['host_id', 'image_digest'])
      .execute();
  },
};
