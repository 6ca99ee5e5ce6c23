import type { Migration } from './migration.ts';

/** Names in the reverse proxy's domain for ports of machines. */
export const routes: Migration = {
  version: 15,
  name: 'routes',
  async up({ schema }) {
    await schema
      .createTable('routes')
      .addColumn('id', 'text', (column) => column.notNull())
      .addColumn('tenant', 'text', (column) => column.notNull())
      .addColumn('machine_id', 'text', (column) => column.notNull())
      .addColumn('subdomain', 'text', (column) => column.notNull())
      .addColumn('target_port', 'integer', (column) => column.notNull())
      .addColumn('auto_wake', 'integer', (column) => column.notNull())
      .addColumn('created_at', 'text', (column) => column.notNull())
      .addColumn('updated_at', 'text', (column) => column.notNull())
      .addPrimaryKeyConstraint('routes_pkey', ['id'])
      .execute();
    await schema.createIndex('routes_subdomain').unique().on('routes').column('subdomain').execute();
    await schema.createIndex('routes_machine').on('routes').column('machine_id').execute();
    await schema
      .createIndex('routes_newest')
      .on('routes')
      .columns(['tenant', 'created_at desc', 'id desc'])
      .execute();
  },
};
