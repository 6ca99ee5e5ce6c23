/** The check of quotas, made in the transaction that records a machine, so that concurrent requests cannot exceed them. */
import type { MachineSpec } from '../machines/machine.ts';
import type { Repositories } from '../ports/store.ts';
import { findExcess, type QuotaLimits, type QuotaUsage, quotaResources, stricter } from './quota.ts';
import { type KeyTier, limitsOfTier } from './tiers.ts';

export interface Admission {
  readonly tenant: string;
  /** The tier of the key that asks. */
  readonly tier: KeyTier | null;
  /** For tenants without a quota of their own. */
  readonly defaults: QuotaLimits;
}

type Hardware = Pick<MachineSpec, 'vcpuCount' | 'memoryMib' | 'diskMib'>;

/** What a new machine adds. */
export function sizeOf({ vcpuCount, memoryMib, diskMib }: Hardware): QuotaUsage {
  return { machines: 1, vcpus: vcpuCount, memoryMib, diskMib };
}

/** What several changes add together. */
export function sumOf(sizes: readonly QuotaUsage[]): QuotaUsage {
  const total = (resource: keyof QuotaUsage) => sizes.reduce((sum, size) => sum + size[resource], 0);
  return {
    machines: total('machines'),
    vcpus: total('vcpus'),
    memoryMib: total('memoryMib'),
    diskMib: total('diskMib'),
  };
}

/** What a change of a machine's hardware adds. */
export function growthOf(before: Hardware, after: Hardware): QuotaUsage {
  return {
    machines: 0,
    vcpus: after.vcpuCount - before.vcpuCount,
    memoryMib: after.memoryMib - before.memoryMib,
    diskMib: after.diskMib - before.diskMib,
  };
}

/** Raises `quota` when the tenant would have more than it may. Other creations of the tenant wait until the transaction ends. */
export async function requireQuota(
  tx: Repositories,
  { tenant, tier, defaults }: Admission,
  added: QuotaUsage,
): Promise<void> {
  if (quotaResources.every((resource) => added[resource] <= 0)) return;
  await tx.locks.hold(`quota of ${tenant}`);
  const own = await tx.quotas.get(tenant);
  const limits = stricter(own?.limits ?? defaults, limitsOfTier(tier));
  const excess = findExcess(limits, await tx.machines.usage(tenant), added);
  if (excess) throw excess;
}
