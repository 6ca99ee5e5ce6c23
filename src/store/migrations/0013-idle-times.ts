import type { Migration } from './migration.ts';

/** Machines get a time at which their idle policy is due. */
export const idleTimes: Migration = {
  version: 13,
  name: 'idle-times',
  async up({ schema }) {
    await schema.alterTable('machines').addColumn('idle_at', 'text').execute();
    await schema.createIndex('machines_idle_at').on('machines').column('idle_at').execute();
  },
};
