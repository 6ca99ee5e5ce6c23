import { sql } from 'kysely';
import type { Migration } from './migration.ts';

/** Machines can be found by the reference with which their image was requested; until now that was its name. */
export const imageReferences: Migration = {
  version: 12,
  name: 'image-references',
  async up(tx) {
    await tx.schema
      .alterTable('machines')
      .addColumn('image_ref', 'text', (column) => column.notNull().defaultTo(''))
      .execute();
    await sql`update ${sql.table('machines')} set ${sql.ref('image_ref')} = ${sql.ref('image')}`.execute(tx);
  },
};
