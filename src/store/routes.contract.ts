import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Store } from '../core/ports/store.ts';
import type { OpenStore } from './store.contract.ts';
import { at, sampleMachine, sampleRoute } from './testing/samples.ts';

export function routesContract(open: OpenStore): void {
  let store: Store;
  beforeEach(async () => {
    store = await open();
  });
  afterEach(() => store.close());

  it('finds a route by id and subdomain within its tenant, and by subdomain for the proxy', async () => {
    const route = sampleRoute({ autoWake: false });
    await store.routes.insert(route);
    for (const text of [route.id, route.subdomain])
      expect(await store.routes.find('default', text)).toEqual(route);
    expect(await store.routes.find('other', route.id)).toBeNull();
    expect(await store.routes.bySubdomain(route.subdomain)).toEqual(route);
    expect(await store.routes.bySubdomain('nobody')).toBeNull();
    expect(await store.routes.find('default', 'no\0body')).toBeNull();
  });

  it('refuses a subdomain that any tenant has', async () => {
    await store.routes.insert(sampleRoute({ subdomain: 'shop' }));
    await expect(
      store.routes.insert(sampleRoute({ subdomain: 'shop', tenant: 'other' })),
    ).rejects.toMatchObject({
      code: 'conflict',
      message: 'subdomain "shop" is already in use',
    });
    expect(await store.routes.count()).toBe(1);
    expect(await store.routes.count('other')).toBe(0);
  });

  it('lists newest first, also of one machine, and changes and removes', async () => {
    const old = sampleRoute({ machineId: 'm1' });
    const young = sampleRoute({ machineId: 'm2', createdAt: at(1), updatedAt: at(1) });
    await store.routes.insert(old);
    await store.routes.insert(young);
    const page = { tenant: 'default', limit: 9, offset: 0 };
    expect(await store.routes.list(page)).toEqual({ routes: [young, old], total: 2 });
    expect(await store.routes.list({ ...page, machineId: 'm1' })).toEqual({ routes: [old], total: 1 });
    const changed = { ...old, targetPort: 81, updatedAt: at(2) };
    expect(await store.routes.patch(old.id, { targetPort: 81 }, at(2))).toEqual(changed);
    const secret = 's'.repeat(43);
    for (const value of [secret, null])
      expect(await store.routes.patch(old.id, { secret: value }, at(2))).toEqual({
        ...changed,
        secret: value,
      });
    await store.routes.remove(old.id, at(3));
    expect(await store.routes.patch(old.id, { autoWake: false }, at(4))).toBeNull();
    expect(await store.routes.list({ ...page, offset: 1 })).toEqual({ routes: [], total: 1 });
  });

  it('removes the routes of a removed machine', async () => {
    const machine = sampleMachine({ state: 'created' });
    await store.machines.insert({ ...machine, state: 'deleting', operationId: 'o1' });
    await store.routes.insert(sampleRoute({ machineId: machine.id }));
    await store.machines.remove(machine.id, at(1));
    expect(await store.routes.count()).toBe(0);
  });
}
