/** The use cases of quotas: everyone may read their own, the operator reads and sets all. */
import { AppError } from '../errors.ts';
import { type Caller, tenantPattern } from '../keys/caller.ts';
import type { Clock } from '../ports/clock.ts';
import type { Store } from '../ports/store.ts';
import { type Quota, type QuotaLimits, type QuotaUsage, quotaResources } from './quota.ts';

export interface QuotaState {
  readonly tenant: string;
  /** Those in force: the tenant's own, else the host's defaults. A key's tier may be stricter. */
  readonly limits: QuotaLimits;
  readonly used: QuotaUsage;
  /** Whether the limits are the host's defaults. */
  readonly isDefault: boolean;
}

export interface QuotaServiceDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly defaults: QuotaLimits;
}

const limitMax = Number.MAX_SAFE_INTEGER;

export class QuotaService {
  readonly #deps: QuotaServiceDeps;

  constructor(deps: QuotaServiceDeps) {
    this.#deps = deps;
  }

  /** For tenants without a quota of their own. */
  get defaults(): QuotaLimits {
    return this.#deps.defaults;
  }

  /** Raises `forbidden` for another tenant, unless the caller is the operator. */
  async get(caller: Caller, tenant: string): Promise<QuotaState> {
    if (tenant !== caller.tenant) requireOperator(caller);
    checkTenant(tenant);
    const { store, defaults } = this.#deps;
    const [own, used] = await Promise.all([store.quotas.get(tenant), store.machines.usage(tenant)]);
    return { tenant, limits: own?.limits ?? defaults, used, isDefault: own === null };
  }

  /** The quotas that were set, by tenant. Raises `forbidden`. */
  async list(
    caller: Caller,
    page: { readonly limit: number; readonly offset: number },
  ): Promise<{ readonly quotas: readonly Quota[]; readonly total: number }> {
    requireOperator(caller);
    return this.#deps.store.quotas.list(page);
  }

  /** Replaces the tenant's limits. What it already has stays. Raises `forbidden`, `invalid`. */
  async set(caller: Caller, tenant: string, limits: QuotaLimits): Promise<QuotaState> {
    requireOperator(caller);
    checkTenant(tenant);
    for (const resource of quotaResources) {
      const limit = limits[resource];
      if (limit !== null && !(Number.isInteger(limit) && limit >= 0 && limit <= limitMax)) {
        throw new AppError('invalid', `A limit must be a whole number of 0 or more, not ${limit}`);
      }
    }
    const updatedAt = this.#deps.clock.now().toISOString();
    await this.#deps.store.quotas.set({ tenant, limits, updatedAt });
    return this.get(caller, tenant);
  }

  /** From now on, the host's defaults apply to the tenant. Raises `forbidden`, `not_found`. */
  async remove(caller: Caller, tenant: string): Promise<void> {
    requireOperator(caller);
    checkTenant(tenant);
    if (await this.#deps.store.quotas.remove(tenant)) return;
    throw new AppError('not_found', `Tenant '${tenant}' has no quota of its own`);
  }
}

function requireOperator({ isOperator }: Caller): void {
  if (isOperator) return;
  throw new AppError('forbidden', 'Insufficient permissions for this action', {
    hint: 'Ask the operator of this host, who sees and sets the quotas of all tenants.',
  });
}

function checkTenant(tenant: string): void {
  if (tenantPattern.test(tenant)) return;
  throw new AppError(
    'invalid',
    'A tenant’s name must have 1 to 63 of the characters a-z, 0-9 and -, and not start with -',
  );
}
