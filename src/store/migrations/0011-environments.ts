import type { Migration } from './migration.ts';

/** Machines can belong to an environment, which ends with them. */
export const environments: Migration = {
  version: 11,
  name: 'environments',
  async up({ schema }) {
    await schema
      .createTable('environments')
      .addColumn('tenant', 'text', (column) => column.notNull())
      .addColumn('id', 'text', (column) => column.notNull())
      .addColumn('host_id', 'text', (column) => column.notNull())
      .addColumn('owner', 'text', (column) => column.notNull())
      .addColumn('state', 'text', (column) => column.notNull())
      .addColumn('warnings', 'text', (column) => column.notNull())
      .addColumn('expires_at', 'text')
      .addColumn('remaining_ms', 'bigint')
      .addColumn('created_at', 'text', (column) => column.notNull())
      .addColumn('updated_at', 'text', (column) => column.notNull())
      .addPrimaryKeyConstraint('environments_pkey', ['tenant', 'id'])
      .execute();
    await schema
      .createIndex('environments_expires_at')
      .on('environments')
      .columns(['host_id', 'expires_at'])
      .execute();
    await schema.alterTable('machines').addColumn('environment_id', 'text').execute();
    await schema
      .createIndex('machines_environment')
      .on('machines')
      .columns(['tenant', 'environment_id'])
      .execute();
  },
};
