import type { Migration } from './migration.ts';

/** Machines get user data, and how far their guest is with it. */
export const userData: Migration = {
  version: 9,
  name: 'user-data',
  async up({ schema }) {
    await schema.alterTable('machines').addColumn('user_data', 'text').execute();
    await schema.alterTable('machines').addColumn('provisioning', 'text').execute();
  },
};
