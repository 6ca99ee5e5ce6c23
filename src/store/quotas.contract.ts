import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Store } from '../core/ports/store.ts';
import { noLimits } from '../core/quotas/quota.ts';
import { InvariantError } from '../lib/invariant.ts';
import type { OpenStore } from './store.contract.ts';
import { at, sampleMachine } from './testing/samples.ts';

export function quotasContract(open: OpenStore): void {
  let store: Store;
  beforeEach(async () => {
    store = await open();
  });
  afterEach(() => store.close());

  const quota = (tenant: string, machines: number | null) => ({
    tenant,
    limits: { ...noLimits, machines, memoryMib: Number.MAX_SAFE_INTEGER },
    updatedAt: at(1),
  });

  describe('quotas', () => {
    it('are set, replaced, listed by tenant and removed', async () => {
      for (const tenant of ['b', 'a', 'c']) await store.quotas.set(quota(tenant, 5));
      await store.quotas.set(quota('b', null));
      expect(await store.quotas.get('b')).toEqual(quota('b', null));
      const page = await store.quotas.list({ limit: 2, offset: 1 });
      expect([page.quotas.map(({ tenant }) => tenant), page.total]).toEqual([['b', 'c'], 3]);
      expect([await store.quotas.remove('b'), await store.quotas.remove('b')]).toEqual([true, false]);
      expect(await store.quotas.get('b')).toBeNull();
    });

    it('are unknown for a tenant with a NUL in its name, and never malformed', async () => {
      expect(await store.quotas.get('no\0body')).toBeNull();
      expect(await store.quotas.remove('no\0body')).toBe(false);
      await expect(store.quotas.set(quota('a', -1))).rejects.toThrow(InvariantError);
    });
  });

  it('adds up what a tenant’s machines have, in whatever state', async () => {
    const machine = (id: string, tenant: string, vcpuCount: number) => {
      const sample = sampleMachine();
      const spec = { ...sample.spec, name: id, vcpuCount, memoryMib: 256, diskMib: 1024 };
      return sampleMachine({ id, tenant, slot: sample.slot, spec });
    };
    await store.machines.insert(machine('m1', 'a', 1));
    await store.machines.insert(machine('m2', 'a', 3));
    await store.machines.insert(machine('m3', 'b', 8));
    expect(await store.machines.usage('a')).toEqual({ machines: 2, vcpus: 4, memoryMib: 512, diskMib: 2048 });
    expect(await store.machines.usage('none')).toEqual({ machines: 0, vcpus: 0, memoryMib: 0, diskMib: 0 });
    expect(await store.machines.usage('no\0body')).toMatchObject({ machines: 0 });
  });
}
