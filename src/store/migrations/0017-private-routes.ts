import type { Migration } from './migration.ts';

/** Routes may have a secret that signs the tokens which open them. */
export const privateRoutes: Migration = {
  version: 17,
  name: 'private-routes',
  async up({ schema }) {
    await schema.alterTable('routes').addColumn('secret', 'text').execute();
  },
};
