import type { Migration } from './migration.ts';

/** Who made a key. Keys that are there already count as the operator's: nobody wrote down whose they are. */
export const keyMakers: Migration = {
  version: 5,
  name: 'key-makers',
  async up({ schema }) {
    await schema.alterTable('api_keys').addColumn('created_by', 'text').execute();
    await schema.createIndex('api_keys_made_by').on('api_keys').column('created_by').execute();
  },
};
