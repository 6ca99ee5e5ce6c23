import type { Migration } from './migration.ts';

/** Which machines an SSH key enters. Machines of earlier versions have no keys of their own. */
export const machineSshKeys: Migration = {
  version: 16,
  name: 'machine-ssh-keys',
  async up({ schema }) {
    await schema
      .createTable('machine_ssh_keys')
      .addColumn('machine_id', 'text', (column) => column.notNull())
      .addColumn('fingerprint', 'text', (column) => column.notNull())
      .addPrimaryKeyConstraint('machine_ssh_keys_pkey', ['machine_id', 'fingerprint'])
      .execute();
    await schema
      .createIndex('machine_ssh_keys_fingerprint')
      .on('machine_ssh_keys')
      .column('fingerprint')
      .execute();
  },
};
