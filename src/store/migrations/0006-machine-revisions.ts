import type { Migration } from './migration.ts';

/** Counts the writes of a machine's record, so that an older copy of the database is told by it. */
export const machineRevisions: Migration = {
  version: 6,
  name: 'machine-revisions',
  async up({ schema }) {
    await schema
      .alterTable('machines')
      .addColumn('revision', 'integer', (column) => column.notNull().defaultTo(0))
      .execute();
  },
};
