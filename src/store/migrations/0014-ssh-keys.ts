import type { Migration } from './migration.ts';

export const sshKeys: Migration = {
  version: 14,
  name: 'ssh-keys',
  async up({ schema }) {
    await schema
      .createTable('ssh_keys')
      .addColumn('id', 'text', (column) => column.notNull())
      .addColumn('tenant', 'text', (column) => column.notNull())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('public_key', 'text', (column) => column.notNull())
      .addColumn('fingerprint', 'text', (column) => column.notNull())
      .addColumn('created_by', 'text')
      .addColumn('created_at', 'text', (column) => column.notNull())
      .addPrimaryKeyConstraint('ssh_keys_pkey', ['id'])
      .execute();
    await schema
      .createIndex('ssh_keys_tenant_name')
      .unique()
      .on('ssh_keys')
      .columns(['tenant', 'name'])
      .execute();
    await schema
      .createIndex('ssh_keys_fingerprint_tenant')
      .unique()
      .on('ssh_keys')
      .columns(['fingerprint', 'tenant'])
      .execute();
    await schema
      .createIndex('ssh_keys_newest')
      .on('ssh_keys')
      .columns(['tenant', 'created_at desc', 'id desc'])
      .execute();
  },
};
