import type { Migration } from './migration.ts';

/**
 * An operation belongs to its machine's tenant, and says so itself, as it outlives the machine. Those there were before
 * are the default tenant's: there was no other.
 */
export const operationTenants: Migration = {
  version: 2,
  name: 'operation-tenants',
  async up({ schema }) {
    await schema
      .alterTable('operations')
      .addColumn('tenant', 'text', (column) => column.notNull().defaultTo('default'))
      .execute();
    await schema
      .createIndex('operations_tenant_newest')
      .on('operations')
      .columns(['tenant', 'created_at desc', 'id desc'])
      .execute();
    await schema
      .createIndex('operations_machine_newest')
      .on('operations')
      .columns(['machine_id', 'created_at desc', 'id desc'])
      .execute();
  },
};
