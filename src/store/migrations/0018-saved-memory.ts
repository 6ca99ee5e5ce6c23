import type { Migration } from './migration.ts';

/** What is saved of a suspended machine's memory, as JSON. */
export const savedMemory: Migration = {
  version: 18,
  name: 'saved-memory',
  async up({ schema }) {
    await schema.alterTable('machines').addColumn('saved_memory', 'text').execute();
  },
};
