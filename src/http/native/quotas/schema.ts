/** What `/api/v1/quotas` accepts and sends. */
import { z } from '@hono/zod-openapi';
import { tenantPattern } from '../../../core/keys/caller.ts';
import { closed, closedQuery, moment, pageQuery } from '../../schema.ts';

const limit = (what: string) =>
  z
    .int()
    .min(0)
    .max(Number.MAX_SAFE_INTEGER)
    .nullable()
    .openapi({ description: `${what}; null: no limit.` });

const limits = {
  machines: limit('Machines, running or not').openapi({ example: 10 }),
  vcpus: limit('vCPUs of all machines together').openapi({ example: 20 }),
  memory_mib: limit('Memory of all machines together, in MiB').openapi({ example: 16_384 }),
  disk_mib: limit('Disks of all machines together, in MiB').openapi({ example: null }),
};

const absent = 'Absent fields are not limited.';
export const setQuotaBody = closed({
  machines: limits.machines.optional(),
  vcpus: limits.vcpus.optional(),
  memory_mib: limits.memory_mib.optional(),
  disk_mib: limits.disk_mib.optional(),
}).openapi('SetQuota', { description: absent });
export type SetQuotaBody = z.infer<typeof setQuotaBody>;

const tenant = z.string().openapi({ description: 'The tenant’s name.', example: 'acme' });
const used = z.int().min(0);

export const quotaBody = z
  .object({
    tenant,
    limits: z.object(limits),
    used: z.object({ machines: used, vcpus: used, memory_mib: used, disk_mib: used }),
    is_default: z.boolean().openapi({ description: 'Whether these are the host’s limits for every tenant.' }),
  })
  .openapi('Quota');
export type QuotaBody = z.infer<typeof quotaBody>;

export const quotaList = z
  .object({
    quotas: z.array(z.object({ tenant, limits: z.object(limits), updated_at: moment }).openapi('QuotaEntry')),
    total: z.int().openapi({ description: 'Quotas on all pages.', example: 1 }),
  })
  .openapi('QuotaList');

export const listQuotasQuery = closedQuery(pageQuery('Quotas'));

export const quotaParams = z.object({
  tenant: z
    .string()
    .regex(tenantPattern, 'must be 1 to 63 of a-z, 0-9 and -, and not begin with -')
    .openapi({ param: { description: 'The tenant’s name.' }, example: 'acme' }),
});
