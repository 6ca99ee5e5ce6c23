/**
 * Quotas: how much a tenant may have on this platform. Machines count from their creation to their deletion, whatever
 * their state.
 *
 * Example: with `{machines: 5, vcpus: null, memoryMib: 8192, diskMib: null}` a tenant has at most 5 machines, with 8 GiB
 * of memory together, and any number of vCPUs.
 */
import { AppError } from '../errors.ts';

export const quotaResources = ['machines', 'vcpus', 'memoryMib', 'diskMib'] as const;
export type QuotaResource = (typeof quotaResources)[number];

/** Limits by resource; null: none. */
export type QuotaLimits = Readonly<Record<QuotaResource, number | null>>;

/** What a tenant has, or asks for in addition. */
export type QuotaUsage = Readonly<Record<QuotaResource, number>>;

/** A tenant's own limits, which replace the host's defaults. */
export interface Quota {
  readonly tenant: string;
  readonly limits: QuotaLimits;
  readonly updatedAt: string;
}

export const noLimits: QuotaLimits = { machines: null, vcpus: null, memoryMib: null, diskMib: null };

/** The lower limit of each resource. */
export function stricter(a: QuotaLimits, b: QuotaLimits): QuotaLimits {
  const lower = (resource: QuotaResource): number | null => {
    const [left, right] = [a[resource], b[resource]];
    if (left === null || right === null) return left ?? right;
    return Math.min(left, right);
  };
  return {
    machines: lower('machines'),
    vcpus: lower('vcpus'),
    memoryMib: lower('memoryMib'),
    diskMib: lower('diskMib'),
  };
}

export class QuotaExceeded extends AppError {
  readonly resource: QuotaResource;
  readonly used: number;
  readonly limit: number;

  constructor(resource: QuotaResource, used: number, added: number, limit: number) {
    const { what, unit, hint } = words[resource];
    super('quota', `${what}: ${used} of ${limit}${unit} are used, and ${added} more would exceed the limit`, {
      hint,
      details: { resource: names[resource], used, requested: added, limit },
    });
    this.resource = resource;
    this.used = used;
    this.limit = limit;
  }
}

/** The first resource of which there would be too much; null when all fits. What is not increased is not checked. */
export function findExcess(limits: QuotaLimits, used: QuotaUsage, added: QuotaUsage): QuotaExceeded | null {
  for (const resource of quotaResources) {
    const limit = limits[resource];
    if (limit === null || added[resource] <= 0 || used[resource] + added[resource] <= limit) continue;
    return new QuotaExceeded(resource, used[resource], added[resource], limit);
  }
  return null;
}

const names: Readonly<Record<QuotaResource, string>> = {
  machines: 'machines',
  vcpus: 'vcpus',
  memoryMib: 'memory_mib',
  diskMib: 'disk_mib',
};

const askMore = 'or ask the operator for a larger quota.';
const words: Readonly<
  Record<QuotaResource, { readonly what: string; readonly unit: string; readonly hint: string }>
> = {
  machines: { what: 'Machine quota exceeded', unit: '', hint: `Delete machines, ${askMore}` },
  vcpus: {
    what: 'vCPU quota exceeded',
    unit: '',
    hint: `Delete machines or ask for fewer vCPUs, ${askMore}`,
  },
  memoryMib: {
    what: 'Memory quota exceeded',
    unit: ' MiB',
    hint: `Delete machines or ask for less memory, ${askMore}`,
  },
  diskMib: {
    what: 'Disk quota exceeded',
    unit: ' MiB',
    hint: `Delete machines or ask for a smaller disk, ${askMore}`,
  },
};
