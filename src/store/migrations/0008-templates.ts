import type { Migration } from './migration.ts';

export const templates: Migration = {
  version: 8,
  name: 'templates',
  async up({ schema }) {
    await schema
      .createTable('templates')
      .addColumn('id', 'text', (column) => column.notNull())
      .addColumn('tenant', 'text', (column) => column.notNull())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('description', 'text', (column) => column.notNull())
      .addColumn('image', 'text', (column) => column.notNull())
      .addColumn('user_data', 'text')
      .addColumn('vcpu_count', 'integer', (column) => column.notNull())
      .addColumn('memory_mib', 'integer', (column) => column.notNull())
      .addColumn('disk_mib', 'integer')
      .addColumn('created_at', 'text', (column) => column.notNull())
      .addColumn('updated_at', 'text', (column) => column.notNull())
      .addPrimaryKeyConstraint('templates_pkey', ['id'])
      .execute();
    await schema
      .createIndex('templates_tenant_name')
      .unique()
      .on('templates')
      .columns(['tenant', 'name'])
      .execute();
    await schema
      .createIndex('templates_newest')
      .on('templates')
      .columns(['tenant', 'created_at desc', 'id desc'])
      .execute();
  },
};
