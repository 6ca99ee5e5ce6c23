/** Quotas under concurrency: of many creations at once, exactly as many succeed as the tenant may have. */
import { afterEach, expect, test } from 'vitest';
import { type FakeFlotilla, startFake } from '../../../test/support/fake.ts';
import type { Caller } from '../keys/caller.ts';
import { noLimits } from './quota.ts';

let fake: FakeFlotilla;
afterEach(() => fake.close());

const tenant = 'acme';
const request = { vcpuCount: 1, memoryMib: 128, image: 'busybox', diskMib: 256 };
const operator: Caller = {
  ...{ tenant: 'default', keyName: 'admin', keyId: null, expiresAt: null },
  ...{ scopes: ['*'], tier: null, isOperator: true },
};

const createMany = (count: number, tier: 'free' | null) =>
  Promise.allSettled(
    Array.from({ length: count }, (_, index) =>
      fake.machines.create(tenant, { ...request, name: `m${index}` }, { tier }),
    ),
  );

const outcomes = (settled: readonly PromiseSettledResult<unknown>[]) => ({
  made: settled.filter(({ status }) => status === 'fulfilled').length,
  refused: settled.filter((each) => each.status === 'rejected' && each.reason.code === 'quota').length,
});

test('a quota holds against concurrent creations, and gives back what is deleted', async () => {
  fake = await startFake();
  await fake.quotas.set(operator, tenant, { ...noLimits, machines: 10 });
  expect(outcomes(await createMany(200, null))).toEqual({ made: 10, refused: 190 });
  expect((await fake.quotas.get(operator, tenant)).used.machines).toBe(10);
  const { machines } = await fake.machines.list({ tenant, limit: 1, offset: 0 });
  await fake.machines.delete(tenant, machines[0]?.id ?? '', { force: true });
  await fake.machines.create(tenant, { ...request, name: 'again' });
  await expect(fake.machines.create(tenant, { ...request, name: 'more' })).rejects.toMatchObject({
    code: 'quota',
  });
});

test('a tier holds against concurrent creations, and other tenants are not affected', async () => {
  fake = await startFake();
  expect(outcomes(await createMany(12, 'free'))).toEqual({ made: 5, refused: 7 });
  await fake.machines.create('other', { ...request, name: 'web' }, { tier: 'free' });
});

test('a machine grows only within the quota', async () => {
  fake = await startFake();
  await fake.quotas.set(operator, tenant, { ...noLimits, memoryMib: 300 });
  const { id } = await fake.machines.create(tenant, { ...request, name: 'web' });
  await fake.machines.update(tenant, id, { memoryMib: 300, labels: { a: 'b' } });
  await expect(fake.machines.update(tenant, id, { memoryMib: 301 })).rejects.toMatchObject({
    code: 'quota',
    details: { resource: 'memory_mib', used: 300, requested: 1, limit: 300 },
  });
});

test('the default applies until a tenant has a quota of its own', async () => {
  fake = await startFake({ quotas: { ...noLimits, machines: 1 } });
  expect(outcomes(await createMany(2, null))).toEqual({ made: 1, refused: 1 });
  await fake.quotas.set(operator, tenant, { ...noLimits, machines: 2 });
  await fake.machines.create(tenant, { ...request, name: 'second' });
  await fake.quotas.remove(operator, tenant);
  expect(await fake.quotas.get(operator, tenant)).toMatchObject({ isDefault: true, limits: { machines: 1 } });
});

test('a tenant reads its own quota, and neither sets one nor reads another’s', async () => {
  fake = await startFake();
  const caller = { ...operator, tenant, isOperator: false };
  expect(await fake.quotas.get(caller, tenant)).toMatchObject({ limits: noLimits, used: { machines: 0 } });
  const refused = { code: 'forbidden' };
  await expect(fake.quotas.get(caller, 'other')).rejects.toMatchObject(refused);
  await expect(fake.quotas.list(caller, { limit: 1, offset: 0 })).rejects.toMatchObject(refused);
  await expect(fake.quotas.set(caller, tenant, noLimits)).rejects.toMatchObject(refused);
  await expect(fake.quotas.remove(caller, tenant)).rejects.toMatchObject(refused);
});
