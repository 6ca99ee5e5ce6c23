/** The quotas of tenants in the database. */
import { z } from 'zod';
import type { QuotaRepository } from '../core/ports/store.ts';
import type { Quota } from '../core/quotas/quota.ts';
import type { Access } from './access.ts';
import { canHold, checkPage, encodeTime, type QuotaTable } from './schema.ts';
import { validate } from './validate.ts';

export function quotaRepository(access: Access): QuotaRepository {
  return {
    async get(tenant) {
      if (!canHold(tenant)) return null;
      const row = await access.read((db) =>
        db.selectFrom('quotas').selectAll().where('tenant', '=', tenant).executeTakeFirst(),
      );
      return row === undefined ? null : decodeQuota(row);
    },
    async list(page) {
      checkPage(page);
      const { rows, total } = await access.snapshot(async (db) => ({
        rows: await db
          .selectFrom('quotas')
          .selectAll()
          .orderBy('tenant')
          .limit(page.limit)
          .offset(page.offset)
          .execute(),
        total: await db
          .selectFrom('quotas')
          .select(({ fn }) => fn.countAll<number | string>().as('count'))
          .executeTakeFirstOrThrow(),
      }));
      return { quotas: rows.map(decodeQuota), total: Number(total.count) };
    },
    async set(quota) {
      const { tenant, ...changed } = encodeQuota(quota);
      await access.atomically((db) =>
        db
          .insertInto('quotas')
          .values({ tenant, ...changed })
          .onConflict((conflict) => conflict.column('tenant').doUpdateSet(changed))
          .execute(),
      );
    },
    async remove(tenant) {
      if (!canHold(tenant)) return false;
      const { numDeletedRows } = await access.atomically((db) =>
        db.deleteFrom('quotas').where('tenant', '=', tenant).executeTakeFirst(),
      );
      return numDeletedRows > 0n;
    },
  };
}

const limit = z.int().min(0).nullable();
const quota: z.ZodType<Quota> = z.strictObject({
  tenant: z.string().min(1),
  limits: z.strictObject({ machines: limit, vcpus: limit, memoryMib: limit, diskMib: limit }),
  updatedAt: z.string(),
});

function encodeQuota(value: Quota): QuotaTable {
  const { tenant, limits, updatedAt } = validate(quota, value, `quota of ${value.tenant}`);
  return {
    tenant,
    machines: limits.machines,
    vcpus: limits.vcpus,
    memory_mib: limits.memoryMib,
    disk_mib: limits.diskMib,
    updated_at: encodeTime(updatedAt),
  };
}

/** PostgreSQL's bigint columns arrive as text. */
function decodeQuota(row: QuotaTable): Quota {
  const number = (value: number | string | null) => (value === null ? null : Number(value));
  const { tenant } = row;
  const limits = {
    machines: number(row.machines),
    vcpus: number(row.vcpus),
    memoryMib: number(row.memory_mib),
    diskMib: number(row.disk_mib),
  };
  return validate(quota, { tenant, limits, updatedAt: row.updated_at }, `quota of ${tenant}`);
}
