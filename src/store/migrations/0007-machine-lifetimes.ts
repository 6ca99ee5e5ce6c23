import type { Migration, NoTables } from './migration.ts';

type Before = {
  readonly machines: { readonly id: string; readonly spec: string; readonly image: string };
  readonly machine_labels: { readonly machine_id: string; readonly key: string; readonly value: string };
};

/** Machines get a lifetime and restarts to come, and can be found by image and labels. */
export const machineLifetimes: Migration = {
  version: 7,
  name: 'machine-lifetimes',
  async up(tx) {
    await addColumns(tx);
    await tx.schema
      .createTable('machine_labels')
      .addColumn('machine_id', 'text', (column) => column.notNull())
      .addColumn('key', 'text', (column) => column.notNull())
      .addColumn('value', 'text', (column) => column.notNull())
      .addPrimaryKeyConstraint('machine_labels_pkey', ['machine_id', 'key'])
      .execute();
    const db = tx.$extendTables<Before>();
    for (const { id, spec } of await db.selectFrom('machines').select(['id', 'spec']).execute()) {
      const { image, labels } = readSpec(spec);
      await db.updateTable('machines').set({ image }).where('id', '=', id).execute();
      for (const [key, value] of Object.entries(labels)) {
        const row = { machine_id: id, key: JSON.stringify(key), value: JSON.stringify(value) };
        await db.insertInto('machine_labels').values(row).execute();
      }
    }
  },
};

async function addColumns({ schema }: NoTables): Promise<void> {
  const machines = () => schema.alterTable('machines');
  await machines()
    .addColumn('image', 'text', (column) => column.notNull().defaultTo(''))
    .execute();
  await machines().addColumn('expires_at', 'text').execute();
  await machines().addColumn('restart_at', 'text').execute();
  await machines()
    .addColumn('restart_count', 'integer', (column) => column.notNull().defaultTo(0))
    .execute();
  for (const column of ['expires_at', 'restart_at']) {
    await schema.createIndex(`machines_${column}`).on('machines').column(column).execute();
  }
}

/** Of a spec that cannot be read, nothing: it is left to whoever reads the row. */
function readSpec(text: string): { readonly image: string; readonly labels: Record<string, unknown> } {
  try {
    const { image, labels } = Object(JSON.parse(text)) as {
      readonly image?: unknown;
      readonly labels?: unknown;
    };
    return { image: typeof image === 'string' ? image : '', labels: { ...Object(labels) } };
  } catch {
    return { image: '', labels: {} };
  }
}
