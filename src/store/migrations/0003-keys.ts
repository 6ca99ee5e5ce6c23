import type { Migration } from './migration.ts';

export const keys: Migration = {
  version: 3,
  name: 'keys',
  async up({ schema }) {
    await schema
      .createTable('api_keys')
      .addColumn('id', 'text', (column) => column.primaryKey().notNull())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('tenant', 'text', (column) => column.notNull())
      .addColumn('prefix', 'text', (column) => column.notNull())
      .addColumn('hash', 'text', (column) => column.notNull())
      .addColumn('scopes', 'text', (column) => column.notNull())
      .addColumn('created_at', 'text', (column) => column.notNull())
      .addColumn('expires_at', 'text')
      .addColumn('last_used_at', 'text')
      .addColumn('revoked_at', 'text')
      .execute();
    await schema.createIndex('api_keys_prefix').on('api_keys').column('prefix').execute();
    await schema
      .createIndex('api_keys_newest')
      .on('api_keys')
      .columns(['tenant', 'created_at desc', 'id desc'])
      .execute();
  },
};
