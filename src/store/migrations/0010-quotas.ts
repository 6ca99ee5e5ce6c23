import type { Migration } from './migration.ts';

type Before = {
  readonly machines: {
    readonly id: string;
    readonly spec: string;
    readonly vcpu_count: number;
    readonly disk_mib: number;
  };
};

/** Tenants get quotas, keys a tier, and machines the columns that quotas add up. */
export const quotas: Migration = {
  version: 10,
  name: 'quotas',
  async up(tx) {
    await tx.schema
      .createTable('quotas')
      .addColumn('tenant', 'text', (column) => column.notNull())
      .addColumn('machines', 'bigint')
      .addColumn('vcpus', 'bigint')
      .addColumn('memory_mib', 'bigint')
      .addColumn('disk_mib', 'bigint')
      .addColumn('updated_at', 'text', (column) => column.notNull())
      .addPrimaryKeyConstraint('quotas_pkey', ['tenant'])
      .execute();
    await tx.schema.alterTable('api_keys').addColumn('tier', 'text').execute();
    for (const name of ['vcpu_count', 'disk_mib'] as const) {
      await tx.schema
        .alterTable('machines')
        .addColumn(name, 'integer', (column) => column.notNull().defaultTo(0))
        .execute();
    }
    const db = tx.$extendTables<Before>();
    for (const { id, spec } of await db.selectFrom('machines').select(['id', 'spec']).execute()) {
      await db.updateTable('machines').set(readSpec(spec)).where('id', '=', id).execute();
    }
  },
};

/** Of a spec that cannot be read, nothing: it is left to whoever reads the row. */
function readSpec(text: string): { readonly vcpu_count: number; readonly disk_mib: number } {
  try {
    const { vcpuCount, diskMib } = Object(JSON.parse(text)) as Readonly<Record<string, unknown>>;
    return { vcpu_count: wholeNumber(vcpuCount), disk_mib: wholeNumber(diskMib) };
  } catch {
    return { vcpu_count: 0, disk_mib: 0 };
  }
}

function wholeNumber(value: unknown): number {
  return typeof value === 'number' && Number.isInteger(value) ? value : 0;
}
