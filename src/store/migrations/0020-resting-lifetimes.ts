import type { Migration } from './migration.ts';

/** What is left of a machine's lifetime while that stands still, in milliseconds. */
export const restingLifetimes: Migration = {
  version: 20,
  name: 'resting-lifetimes',
  async up({ schema }) {
    await schema.alterTable('machines').addColumn('remaining_ms', 'bigint').execute();
  },
};
