/** Quotas: how much each tenant may have. Only the operator lists and sets them. */
import { call, type QueryOf } from './call.ts';
import { deadlinesMs } from './deadlines.ts';
import type { CallOptions, Transport } from './transport.ts';
import type { Quota, QuotaList, SetQuota } from './types.ts';

export class Quotas {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Returns one page of the quotas that were set, by tenant. */
  list(query: QueryOf<'listQuotas'> = {}, options?: CallOptions): Promise<QuotaList> {
    return call(this.#transport, 'listQuotas', { query }, deadlinesMs.read, options);
  }

  /** A tenant's limits and what it uses of them. */
  get(tenant: string, options?: CallOptions): Promise<Quota> {
    return call(this.#transport, 'getQuota', { path: { tenant } }, deadlinesMs.read, options);
  }

  /** Replaces all limits; absent ones are removed. */
  set(tenant: string, limits: SetQuota, options?: CallOptions): Promise<Quota> {
    return call(this.#transport, 'setQuota', { path: { tenant }, body: limits }, deadlinesMs.write, options);
  }

  /** From then on, the host's limits for every tenant apply. */
  remove(tenant: string, options?: CallOptions): Promise<void> {
    return call(this.#transport, 'removeQuota', { path: { tenant } }, deadlinesMs.write, options);
  }
}
